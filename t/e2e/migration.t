#!/usr/bin/perl

# conf.example/migration.conf: shares, sticky clients, the canary's header,
# shadow traffic, the way back to the monolith, and what is logged of it all.
# When services fail is in migration_failures.t.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use E2E;
use E2EMigration;
use JSON::PP qw( decode_json );
use NgxGatewayBackend;
use NgxGatewayJWT qw( jwt );
use Test::More;
use Time::HiRes qw( sleep time );

my $half;
my @ids = map { sprintf '%032x', $_ * 2654435761 } 1 .. 1000;


# With the stand-ins.

{
    my $g = start();

    untouched($g);
    cookies($g);
    shares($g);
    writes($g);
    users($g);
    invalid($g);
    canary($g);

    $g->stop;
    $g->clean_log('the log has nothing that does not belong there');
}


# With TLS, as the guide says.

secure();


# With services of the test's own.

shadow();
sampled();
shadow_slow();
shadow_down();

done_testing();


# Who has answered, for the sides of visitors: one letter for each, by
# requests on two connections at once, which are of different workers now and
# then.

sub sides {
    my ($g, $method, $path, @visitors) = @_;

    my @clients = map { client($g) } 1, 2;
    my $sides = '';

    for my $n (0 .. $#visitors) {
        my $answer = $clients[$n % 2]->ask($method, $path,
                         Cookie => "visitor=$visitors[$n]",
                         $method eq 'POST' ? 'x' : ());

        $sides .= letter($answer);
    }

    return $sides;
}


sub count {
    my ($letter, $sides) = @_;

    return scalar(() = $sides =~ /$letter/g);
}


# Within five standard deviations where visitors are the same each time, within
# more where they are others: of these one count in a million is not within
# five.

sub about {
    my ($count, $n, $percent, $name, $deviations) = @_;

    my $p = $percent / 100;
    my $off = abs($count - $n * $p);

    cmp_ok($off, '<=', ($deviations // 5) * sqrt($n * $p * (1 - $p)),
           "$name: $count of $n");
}


# As it is in the tree, everything is the monolith's.

sub untouched {
    my ($g) = @_;

    my %want = ('/catalog/7' => '/catalog/**', '/orders/7' => '/orders/**',
                '/catalog' => '/**', '/' => '/**', '/about/us' => '/**');

    for my $method (qw( GET POST PUT DELETE )) {
        is(join(' ', map { letter($g->ask(8140, $method, $_)) }
                     sort keys %want),
           'm m m m m', "$method: all on the monolith");
    }

    for my $path (sort keys %want) {
        my $entry = entry($g, uri => $path);

        is($entry->{route}, $want{$path}, "$path: its route is logged");
        is($entry->{service}, 'monolith', "$path: and who answers");
        is($entry->{split}, $want{$path} eq '/**' ? '' : 'sticky',
           "$path: and how that was chosen");
        is($entry->{upstream_status}, '200', "$path: and how it did");
    }

    is($g->ask(8140, 'GET', '/_shadow')->{status}, 404,
       "what is nginx's own is not for clients");

    my $body = decode_json($g->ask(8140, 'GET', '/catalog/a%2Fb?c=%2F',
                                   'X-User' => 'root')->{body});

    is($body->{uri}, '/catalog/a%2Fb?c=%2F', 'the URI is passed as it came');
    is($body->{user}, '', 'nobody says who they are by themselves');

    is(letter($g->ask(8140, 'POST', '/upload', 'x' x 2_000_000)), 'm',
       'two megabytes are not too much');
}


sub cookies {
    my ($g) = @_;

    my $answer = $g->ask(8140, 'GET', '/');
    my $cookie = $answer->{headers}{'set-cookie'};

    like($cookie, qr/^visitor=[0-9a-f]{32};\ Path=\/;\ Max-Age=31536000;
                     \ HttpOnly;\ SameSite=Lax$/x,
         'a new visitor gets a cookie');

    isnt($g->ask(8140, 'GET', '/')->{headers}{'set-cookie'}, $cookie,
         'of their own');
    is($g->ask(8140, 'GET', '/', Cookie => "a=b; visitor=$ids[0]; c=d")
           ->{headers}{'set-cookie'}, undef, 'and no other afterwards');
    is($g->ask(8140, 'GET', '/', Authorization => 'Bearer ' . jwt())
           ->{headers}{'set-cookie'}, undef, 'a user needs none');

    for my $bad ('', 'x', "$ids[0]0", uc('a' x 32)) {
        like($g->ask(8140, 'GET', '/', Cookie => "visitor=$bad")
                 ->{headers}{'set-cookie'}, qr/^visitor=[0-9a-f]{32};/,
             "visitor=$bad is replaced");
    }
}


# A visitor moves when, and only when, the share has reached them.

sub shares {
    my ($g) = @_;

    set($g, catalog => 10);

    my $ten = sides($g, 'GET', '/catalog/7', @ids);

    about(count('c', $ten), 1000, 10, '10 per cent of the visitors');
    is(count('[cm]', $ten), 1000, 'all get an answer');

    my $entry = entry($g, uri => '/catalog/7', service => 'catalog');

    is("@$entry{qw( route split upstream )}",
       '/catalog/** sticky 127.0.0.1:' . $g->port(8146), 'which is logged');

    is(sides($g, 'GET', '/catalog/8?x', @ids[0 .. 199]), substr($ten, 0, 200),
       'what they ask for makes no difference');
    ok($g->reload, 'a reload');
    is(sides($g, 'GET', '/catalog/7', @ids[0 .. 499]), substr($ten, 0, 500),
       'all stay where they are');

    my $new = join '', map {
        letter(client($g)->ask('GET', '/catalog/7'))
    } 1 .. 1000;

    about(count('c', $new), 1000, 10, 'and 10 per cent of the new visitors', 7);

    set($g, catalog => 20);

    my $twenty = sides($g, 'GET', '/catalog/7', @ids);
    my %moves;

    $moves{ substr($ten, $_, 1) . substr($twenty, $_, 1) }++ for 0 .. $#ids;

    about(count('c', $twenty), 1000, 20, '20 per cent');
    is($moves{cm}, undef, 'nobody goes back to the monolith');
    about($moves{mc}, 1000, 10, 'only those move that have to');

    set($g, catalog => 10);
    is(sides($g, 'GET', '/catalog/7', @ids), $ten,
       'back to 10: the same as before');

    is(sides($g, 'GET', '/orders/7', @ids[0 .. 99]), 'm' x 100,
       'and all of the orders are where they were');

    set($g, catalog => 50);
    $half = sides($g, 'GET', '/catalog/7', @ids[0 .. 399]);

    # The first request of a visitor is on the side where they are.

    my %stay;

    for (1 .. 60) {
        my $client = client($g);
        my $first = $client->ask('GET', '/catalog/7');
        my ($id) = $first->{headers}{'set-cookie'} =~ /^(visitor=\w+)/;

        $stay{ letter($first) . letter(client($g)->ask('GET', '/catalog/7',
                                                       Cookie => $id)) }++;
    }

    is(join(' ', sort keys %stay), 'cc mm',
       'new visitors stay with the cookie they got');

    like(sides($g, 'GET', '/catalog/7', ('x') x 60), qr/c.*m|m.*c/,
         'a cookie that is not ours keeps nobody together');

    set($g, catalog => 100);
    is(sides($g, 'GET', '/catalog/7', @ids[0 .. 99]), 'c' x 100,
       '100 per cent is all');
    is(sides($g, 'POST', '/catalog/7', @ids[0 .. 99]), 'm' x 100,
       'but no write');
    is($g->ask(8140, 'HEAD', '/catalog/7')->{status}, 200, 'HEAD');
    is(entry($g, method => 'HEAD')->{service}, 'catalog', 'is a read');
}


# Who writes to the service reads from it.

sub writes {
    my ($g) = @_;

    set($g, catalog => 40, 'catalog-writes' => 20);

    my @some = @ids[0 .. 299];
    my $reads = sides($g, 'GET', '/catalog/7', @some);
    my $writes = sides($g, 'POST', '/catalog/7', @some);
    my %both;

    $both{ substr($reads, $_, 1) . substr($writes, $_, 1) }++ for 0 .. $#some;

    about(count('c', $writes), 300, 20, 'writes have a share of their own');
    is($both{mc}, undef, 'nobody writes to the service who does not read');
    cmp_ok($both{cm}, '>', 0, 'though not the other way round');

    for my $method (qw( PUT PATCH DELETE )) {
        is(sides($g, $method, '/catalog/7', @some[0 .. 49]),
           substr($writes, 0, 50), "$method goes where POST does");
    }
}


sub users {
    my ($g) = @_;

    set($g, catalog => 50, 'catalog-writes' => 0);

    my @tokens = map { 'Bearer ' . jwt({ sub => "user$_" }) } 1 .. 40;

    my $ask = sub {
        my ($token, @more) = @_;

        return letter(client($g)->ask('GET', '/catalog/7',
                                      Authorization => $token, @more));
    };

    my $sides = join '', map { $ask->($_) } @tokens;

    about(count('c', $sides), 40, 50, 'half of the users');
    is(join('', map { $ask->($tokens[$_], Cookie => "visitor=$ids[$_]") }
                0 .. 39), $sides, 'whatever their cookies are');
    is($ask->('Bearer ' . jwt({ sub => 'user1', jti => 'other' })),
       substr($sides, 0, 1), 'and whichever of their tokens it is');

    my $answer = $g->ask(8140, 'GET', '/catalog/7',
                         Authorization => $tokens[4]);

    is(decode_json($answer->{body})->{user}, 'user5',
       'the services are told who it is');

    my $entry = entry($g, user => 'user5');

    is("@$entry{qw( jwt issuer route split )}",
       'ok example /catalog/** sticky', 'and the log is');

    for my $bad ('Bearer ' . jwt({ sub => 'user1', exp => 1 }),
                 'Basic dXNlcjE6eA==', 'Bearer x')
    {
        my $answer = $g->ask(8140, 'GET', '/catalog/7', Authorization => $bad);

        is($answer->{status}, 200,
           'one without a valid token may come as well');
        is(decode_json($answer->{body})->{user}, '', 'but is nobody');
        like($answer->{headers}{'set-cookie'}, qr/^visitor=/, 'a visitor');
    }
}


sub secure {
    my $g = start(percent => { catalog => 50 }, edit => sub {
        my $file = '../build/tls/shop.example.com';

        s{(listen +127\.0\.0\.1:8140);}
         {$1 ssl http2; ssl_certificate $file.crt; ssl_certificate_key $file.key;};
    });

    my $tls = { https => 'shop.example.com' };
    my $answer = $g->ask($tls, 8140, 'GET', '/');

    is($answer->{version}, '2', 'HTTP/2');
    like($answer->{headers}{'set-cookie'},
         qr/^visitor=\w{32}; Path=\/; .*; SameSite=Lax; Secure$/,
         'the cookie is for TLS only');

    is(join('', map {
           letter($g->ask($tls, 8140, 'GET', '/catalog/7',
                          Cookie => "visitor=$_"))
       } @ids[0 .. 19]), substr($half, 0, 20), 'the sides are the same');

    $g->stop;
    $g->clean_log('TLS: the log is clean');
}


# What is no number moves nobody, and is logged; what is above 100 is all.

sub invalid {
    my ($g) = @_;

    for my $wrong ('abc', '-5', '10%', '1.5', '""', '1000001') {
        set($g, catalog => $wrong);
        $g->log;

        is(sides($g, 'GET', '/catalog/7', @ids[0 .. 99]), 'm' x 100,
           "$wrong per cent: all on the monolith");

        my $log = $g->log;
        my $weight = $wrong eq '""' ? '' : $wrong;

        is(scalar(() = $log =~ /\[error\]\ .*\ invalid\ weight\ "\Q$weight\E"
                                \ of\ "catalog"/gx), 100,
           "$wrong per cent: each request is an error in the log");
    }

    for my $much (101, 150, 1000, 1000000) {
        set($g, catalog => $much);

        is(sides($g, 'GET', '/catalog/7', @ids[0 .. 99]), 'c' x 100,
           "$much per cent: nothing is left to the monolith");
    }

    is(letter($g->ask(8140, 'POST', '/catalog/7', 'x')), 'm',
       'but what is written');
    unlike($g->log, qr/invalid weight/, 'which is no error');

    $g->edit('migration/percent', sub { s/^catalog\s.*\n//m });
    ok($g->reload, 'a name that is not in the file');
    is(sides($g, 'GET', '/catalog/7', @ids[0 .. 99]), 'm' x 100, 'is 0');
    unlike($g->log, qr/invalid weight/, 'nor is that');

    $g->edit('migration/percent', sub { s/\z/catalog 0;\n/ });
}


sub canary {
    my ($g) = @_;

    set($g, catalog => 0);

    for my $method (qw( GET POST )) {
        is(sides($g, $method, '/catalog/7', @ids[0 .. 49]), 'm' x 50,
           "$method: back on the monolith");
    }

    for my $method (qw( GET POST DELETE )) {
        my $answer = $g->ask(8140, $method, '/catalog/7', 'X-Canary' => 'new');

        is(letter($answer), 'c', "$method: a canary gets the new service");
    }

    my $entry = entry($g, method => 'DELETE', service => 'catalog');

    is("$entry->{route}|$entry->{split}", '/catalog/**|',
       'the log says that no share has decided');

    is(letter($g->ask(8140, 'GET', '/orders/7', 'X-Canary' => 'new')), 'o',
       'each of them');
    is(letter($g->ask(8140, 'GET', '/', 'X-Canary' => 'new')), 'm',
       'where there is one');
    is(letter($g->ask(8140, 'GET', '/catalog/7', 'X-Canary' => 'newer')), 'm',
       'another value is none');
    is(letter($g->ask({ curl => [ '--interface', '127.0.0.2' ] }, 8140, 'GET',
                      '/catalog/7', 'X-Canary' => 'new')), 'm',
       'others do not choose');

    set($g, catalog => 100, 'catalog-writes' => 100);

    is(letter($g->ask(8140, 'POST', '/catalog/7')), 'c', 'all is moved');
    is(letter($g->ask(8140, 'GET', '/catalog/7', 'X-Canary' => 'old')), 'm',
       'a canary sees the monolith');
    is(letter($g->ask(8140, 'POST', '/catalog/7', 'X-Canary' => 'old')), 'm',
       'and writes to it');
}


# Reads of the monolith are seen by the shadow as they came, but for a body;
# writes are not.

sub shadow {
    my $old = service('monolith');
    my $new = service('catalog', '/catalog/404' => answer(404, ''),
                      '/catalog/500' => answer(500, '', 'Content-Length' => 0));

    my $g = start(percent => { 'catalog-shadow' => 100 },
                  ports => { 8145 => $old->port, 8146 => $new->port });

    my $answer = $g->ask(8140, 'GET', '/catalog/a%2fb?c=%2F&d=1+2',
                         'X-Shadow' => 'orders', 'X-Mine' => 'yes',
                         'User-Agent' => 'test', Cookie => "visitor=$ids[0]",
                         Authorization => 'Bearer ' . jwt());

    is(letter($answer), 'm', 'the monolith answers');
    ok(seen($new, '/catalog/a%2fb'), 'and the shadow has seen it');

    my ($head) = heads($new, '/catalog/a%2fb');
    my ($same) = heads($old, '/catalog/a%2fb');

    like($head, qr/^GET \/catalog\/a%2fb\?c=%2F&d=1\+2 HTTP\/1\.1$/m,
         'its URI as it came');

    for my $name (qw( Host User-Agent X-Mine X-User Cookie Authorization
                      X-Request-Id X-Forwarded-For X-Forwarded-Proto
                      traceparent ))
    {
        my ($want) = $same =~ /^$name: (.+)$/mi;
        my ($got) = $head =~ /^$name: (.+)$/mi;

        ok(length($want // ''), "the monolith has $name");
        is($got, $want, "$name is the same");
    }

    like($head, qr/^X-Shadow: catalog$/m, 'it can tell that it is a shadow');
    unlike($same, qr/^X-Shadow:/m, 'which clients cannot');

    is(entry($g, user => 'alice')->{request_id},
       ($head =~ /^X-Request-Id: (\w+)$/mi)[0], 'the id is that of the log');

    # The body of a read stays with the monolith.

    is(letter($g->ask(8140, 'GET', '/catalog/body', 'hello')), 'm',
       'a read with a body');
    is(letter($g->ask(8140, 'GET', '/catalog/body',
                      'Transfer-Encoding' => 'chunked', 'hello')), 'm',
       'and one in chunks');
    ok(seen($new, '/catalog/body', 2), 'are seen');

    for my $head (heads($new, '/catalog/body')) {
        unlike($head, qr/^(?:Content-Length|Transfer-Encoding):/mi,
               'without it');
    }

    is(scalar(grep { /^Content-Length: 5$|^Transfer-Encoding: chunked$/mi }
              heads($old, '/catalog/body')), 2, 'the monolith has it');

    # Nothing but reads, and those of the monolith.

    for my $method (qw( POST PUT PATCH DELETE OPTIONS )) {
        is(letter($g->ask(8140, $method, '/catalog/good', 'hello')), 'm',
           "$method");
    }

    is($g->ask(8140, 'HEAD', '/catalog/head')->{status}, 200, 'HEAD');
    is(letter($g->ask(8140, 'GET', '/orders/good')), 'm', 'a route without');
    is(letter($g->ask(8140, 'GET', '/catalog/good', 'X-Canary' => 'new')), 'c',
       'what the service answers');
    is($g->ask(8140, 'GET', "/catalog/$_")->{status}, 200,
       "the shadow's $_ is nobody's") for 404, 500;

    ok(seen($new, '/catalog/500'), 'all are seen');
    sleep 0.1;

    is(methods($old, '/catalog/good'), 'POST PUT PATCH DELETE OPTIONS',
       'the monolith has had each write once');
    is(methods($new, '/catalog/good'), 'GET',
       'the service has had no write, and a read of its own once');
    is(methods($new, '/catalog/head'), 'HEAD', 'HEAD is a read');
    is(methods($new, '/orders/good'), '', 'the other service has had none');

    # Both logs tell of it, and what they say is compared.

    my @shadow;

    E2E::wait_for(5, sub {
        @shadow = E2E::slurp("$g->{prefix}/migration_shadow.log") =~ /^.+$/mg;

        return @shadow >= 6;
    });

    is(scalar @shadow, 6, 'the log of the shadow has the mirrored ones');

    my ($entry) = grep { $_->{uri} eq '/catalog/500' }
                  map { decode_json($_) } @shadow;

    is("@$entry{qw( method shadow status )}", 'GET catalog 500',
       'as they were');

    my $output = E2E::output('perl',
                             "$E2E::ROOT/conf.example/migration/compare",
                             "$g->{prefix}/migration_access.log",
                             "$g->{prefix}/migration_shadow.log");

    like($output, qr/^\/catalog\/\*\* +6 +4 +\d\.\d{3} s +\d\.\d{3} s$/m,
         'compare: six, four of them with the same status');
    is(scalar(() = $output =~ /^200       (?:404|500) +GET \/catalog\//mg), 2,
       'and the two that differ');

    $g->stop;
    $g->clean_log('shadow: the log is clean');
}


sub seen {
    my ($service, $path, $n) = @_;

    return E2E::wait_for(5, sub { $service->seen($path) >= ($n // 1) });
}


sub sampled {
    my $new = service('catalog');

    my $g = start(percent => { 'catalog-shadow' => 50, catalog => 50 },
                  ports => { 8146 => $new->port });

    my $client = client($g);
    my $sides = '';

    for my $id (@ids[0 .. 399]) {
        $sides .= letter($client->ask('GET', '/catalog/good',
                                      Cookie => "visitor=$id"));
        sleep 0.001;
    }

    is($sides, $half, 'another gateway has the same sides');

    my $own = count('c', $sides);
    my $reads = 400 - $own;

    sleep 0.2;
    about($new->seen('/catalog/good') - $own, $reads, 50,
          'half of what the monolith answers is mirrored', 7);
}


# The client does not wait for it, not even with its next request on the same
# connection; and there is a limit to how many are under way.

sub shadow_slow {
    my $new = service('catalog', '/catalog/hang' => [[ 'hang' ]],
                      '/catalog/slow' => [[ sleep => 0.8 ],
                                          json('{"from":"catalog"}')]);

    my $g = start(percent => { 'catalog-shadow' => 100 },
                  ports => { 8146 => $new->port });

    my $client = client($g);
    my $begin = time;
    my $sides = join '', map { letter($client->ask('GET', '/catalog/slow')) }
                1 .. 10;

    is($sides, 'm' x 10, 'the monolith answers');
    cmp_ok(time - $begin, '<', 0.8, 'before the shadow, ten times over');
    ok(seen($new, '/catalog/slow', 10), 'which has them all');
    ok(E2E::wait_for(10, sub {
        my $log = E2E::slurp("$g->{prefix}/migration_shadow.log");

        return (() = $log =~ m{"uri":"/catalog/slow"}g) == 10;
    }), 'and answers');
    is(scalar(grep { $_->{gone} } $new->seen('/catalog/slow')), 0,
       'though the client has its answer');

    $begin = time;
    $sides = join '', map { letter($client->ask('GET', '/catalog/hang')) }
             1 .. 100;

    is($sides, 'm' x 100, 'a shadow that never answers');
    cmp_ok(time - $begin, '<', 8, 'does not stop anybody');
    seen($new, '/catalog/hang', 32);
    sleep 0.2;
    is(scalar(my @seen = $new->seen('/catalog/hang')), 32,
       'and has no more than 32 at a time');

    $new->stop;
    $g->stop;
    $g->clean_log('slow shadow: the log is clean');
}


sub shadow_down {
    my $g = start(percent => { 'catalog-shadow' => 100,
                               'orders-shadow' => 100 },
                  ports => { 8146 => 1 });

    my $client = client($g);
    my $begin = time;
    my $sides = join '', map { letter($client->ask('GET', '/catalog/7')) }
                1 .. 50;

    is($sides, 'm' x 50, 'without the shadow the monolith answers');
    cmp_ok(time - $begin, '<', 4, 'without waiting for it');
    is(entry($g, uri => '/catalog/7')->{upstream_status}, '200',
       'the log knows of no failure');

    my $log = "$g->{prefix}/migration_shadow_error.log";

    ok(E2E::wait_for(5, sub { -e $log && E2E::slurp($log) =~ /refused/ }),
       'but a log of its own does');
    unlike($g->log(1), qr/\[error\]/, 'and only that');

    # A shadow that fails is no failure of the service.

    is(letter($client->ask('GET', '/orders/7')), 'm', 'orders has a shadow');

    $g->stop;
    $g->clean_log('no shadow: the log is clean');
}
