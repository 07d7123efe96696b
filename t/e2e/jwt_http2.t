#!/usr/bin/perl

# What a refused token does to the connection that it came on: HTTP/2 with
# many streams, keepalive, pipelining, request bodies that nobody reads, 100
# Continue; and to what core does with the answer: HEAD, gzip, error_page.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use IO::Uncompress::Gunzip ();
use JSON::PP ();
use Test::More;
use Time::HiRes qw( sleep );

use E2E;
use E2EClient;
use NgxGatewayJWT;

E2E::need('curl', 'curl');

E2E::output('curl', '--version') =~ /\bHTTP2\b/
    or die "curl has no HTTP/2: install Debian's package curl\n";

my $dir = E2E::dir();
my ($port, $port2) = (E2E::free_port(), E2E::free_port());

# Over TLS: some versions of curl lose their way with several requests when
# they are to speak HTTP/2 without it.

my $http2 = E2E::version() < 1025001 ? "listen 127.0.0.1:$port2 ssl http2;"
            : "listen 127.0.0.1:$port2 ssl;\n    http2 on;";

E2E::spew("$dir/tls.crt", certificate('p256_tls'));
E2E::spew("$dir/tls.key", pem_private('p256_tls'));

E2E::spew("$dir/keys.json", jwks('p256', 'rsa'));
mkdir "$dir/html";
E2E::spew("$dir/html/401.html", "a page about 401\n");

my $locations = <<"_EOC_";
    keepalive_requests 100000;
    client_max_body_size 64m;

    gateway_jwt api issuer=corp;
    add_header X-Status \$gateway_jwt_status always;
    add_header X-Connection \$connection always;

    location / {
        proxy_pass http://unix:$dir/backend.sock:/;
        proxy_set_header X-Sub \$gateway_jwt_claim_sub;
    }

    location /slow {
        proxy_pass http://unix:$dir/backend.sock:/slow;
        proxy_set_header X-Sub \$gateway_jwt_claim_sub;
    }

    location /slower {
        proxy_pass http://unix:$dir/backend.sock:/slower;
    }

    location /admin {
        gateway_jwt_require_scope admin;
        proxy_pass http://unix:$dir/backend.sock:/;
    }

    location /gzip/ {
        gzip on;
        gzip_min_length 1;
        gzip_types application/problem+json text/plain;
        gateway_jwt_require_claim sub ne bob;
        proxy_pass http://unix:$dir/backend.sock:/;
        proxy_set_header X-Sub \$gateway_jwt_claim_sub;
    }

    location /page/ {
        gateway_jwt_require_scope admin;
        error_page 401 /401.html;
        error_page 403 = \@forbidden;
        proxy_pass http://unix:$dir/backend.sock:/;
    }

    location /login/ {
        error_page 401 =302 /sign-in;
        proxy_pass http://unix:$dir/backend.sock:/;
    }

    location = /401.html {
        internal;
        gateway_jwt off;
        default_type text/html;
        root $dir/html;
    }

    location = /sign-in {
        gateway_jwt off;
        return 302 https://login.example.com/;
    }

    location \@forbidden {
        gateway_jwt off;
        return 404 "nothing here\\n";
    }
_EOC_

my $nginx = E2E->start(port => $port, http => <<"_EOC_");
gateway_jwt_issuer corp {
    issuer $NgxGatewayJWT::ISSUER;
    audience $NgxGatewayJWT::AUDIENCE;
    key_file $dir/keys.json;
}

limit_req_zone \$server_name zone=slow:32k rate=200r/s;
limit_req_zone \$server_name zone=slower:32k rate=10r/s;

server {
    listen 127.0.0.1:$port;
$locations
}

server {
    $http2
    ssl_certificate $dir/tls.crt;
    ssl_certificate_key $dir/tls.key;
$locations
}

server {
    listen unix:$dir/backend.sock;
    server_name backend;
    client_max_body_size 64m;

    location / {
        return 200 "sub=\$http_x_sub length=\$http_content_length\\n";
    }

    location /slow {
        limit_req zone=slow burst=1000;
        root $dir/html;
        error_page 404 =200 /;
    }

    location /slower {
        limit_req zone=slower burst=1000;
        root $dir/html;
    }
}
_EOC_

my $good = jwt({ sub => 'alice' }, key => 'p256');
my $bob = jwt({ sub => 'bob' }, key => 'p256');
my $bad = jwt({ sub => 'eve' }, key => 'p256_other', kid => 'p256');
my $expired = jwt({ sub => 'alice', exp => at(-60) }, key => 'p256');

my @tokens = map { {
    token => $_ % 3 ? jwt({ sub => "user$_" }, key => $_ % 2 ? 'p256' : 'rsa')
             : $_ % 2 ? jwt({ sub => "user$_", exp => at(-60) })
             : jwt({ sub => "user$_" }, key => 'p256_other', kid => 'p256'),
    sub => "user$_",
    status => $_ % 3 ? 'ok' : $_ % 2 ? 'expired' : 'bad_signature',
} } 0 .. 99;

many_streams();
http2_requests();
http2_bodies();
keepalive();
pipelining();
bodies();
expect();
compressed();
error_pages();

$nginx->stop;

# core quotes headers that it does not take

$nginx->clean_log('the log has no errors and no tokens',
                  qr/client sent duplicate header line/);

done_testing();


# A hundred streams of one connection.

sub many_streams {
    my @answers = curl(map { [ "/slow/$_", "Bearer $tokens[$_]{token}" ] }
                       0 .. $#tokens);
    my %connections;

    for my $n (0 .. $#tokens) {
        my ($token, $answer) = ($tokens[$n], $answers[$n]);

        $connections{$answer->{headers}{'x-connection'} // 'none'} = 1;

        is(summary($answer),
           $token->{status} eq 'ok' ? "200 ok sub=$token->{sub} length="
                                    : "401 $token->{status}",
           "stream $n of a hundred: $token->{status}");
    }

    is(scalar keys %connections, 1, 'all on one connection');

    # Clients that do not wait for their answers

    my @cut = curl({ 'max-time' => '0.2' },
                   map { [ "/slower/$_", "Bearer $tokens[$_]{token}" ] }
                   0 .. $#tokens);

    cmp_ok(scalar(grep { !$_->{status} } @cut), '>', 0,
           'streams that are cut off');

    my ($after) = curl([ '/', "Bearer $good" ]);

    is(summary($after), '200 ok sub=alice length=',
       'and a request after that');
}


sub http2_requests {
    my ($get, $head, $none, $bob_get, $long) = curl(
        [ '/', "Bearer $bad" ],
        [ '/', "Bearer $bad", head => undef ],
        [ '/', undef ],
        [ '/admin', "Bearer $bob" ],
        [ '/', 'Bearer ' . stretch(8000, key => 'p256') ],
    );

    is(summary($get), '401 bad_signature', 'HTTP/2, GET');
    is(summary($head), '401 bad_signature', 'HTTP/2, HEAD');
    is($head->{body}, '', 'HEAD has no body');
    is($head->{headers}{'content-length'}, length $get->{body},
       "but a body's length");
    is($head->{headers}{'www-authenticate'},
       $get->{headers}{'www-authenticate'}, "and GET's challenge");
    is($head->{headers}{'content-type'}, 'application/problem+json',
       "and GET's type");

    is(summary($none), '401 missing', 'HTTP/2, no token');
    is($none->{headers}{'www-authenticate'}, 'Bearer realm="api"',
       'and no error code');
    is(summary($bob_get), '403 insufficient_scope', 'HTTP/2, 403');
    is(summary($long), '200 ok sub=alice length=', 'HTTP/2, a long token');

    my ($ok) = curl([ '/', "Bearer $good", head => undef ]);

    is(summary($ok), '200 ok ', 'HTTP/2, HEAD with a good token');

    my ($two) = curl({ header => 'Authorization: Bearer x' },
                     [ '/', "Bearer $good" ]);

    is($two->{status}, 400, 'HTTP/2, two Authorization headers');

    my ($empty) = curl([ '/', 'Bearer' ]);

    is(summary($empty), '400 malformed', 'HTTP/2, no token after Bearer');
}


# Bodies of requests that are refused

sub http2_bodies {
    E2E::spew("$dir/small", 'x' x 1000);
    E2E::spew("$dir/large", 'x' x 3_000_000);

    for my $size (qw( small large )) {
        my @answers = curl({ serial => 1 }, map {
            [ '/', "Bearer $_", 'data-binary' => "\@$dir/$size" ]
        } $good, $bad, $good, $expired, $bob);

        is(join(', ', map { summary($_) =~ s/ length=.*//r } @answers),
           '200 ok sub=alice, 401 bad_signature, 200 ok sub=alice, '
           . '401 expired, 200 ok sub=bob', "HTTP/2, POST, $size bodies");

        my %connections = map { $_->{headers}{'x-connection'} // 'none' => 1 }
                          @answers;

        is(scalar keys %connections, 1, 'on one connection');
    }
}


sub keepalive {
    my $client = E2EClient->new($port);
    my $connection;

    for (1 .. 3) {
        for my $case ([ '/', $good, '200 ok sub=alice length=' ],
                      [ '/', $bad, '401 bad_signature' ],
                      [ '/admin', $good, '403 insufficient_scope' ],
                      [ '/', undef, '401 missing' ],
                      [ '/page/', $bad, '401 bad_signature' ],
                      [ '/page/', $good, '404 insufficient_scope' ])
        {
            my ($path, $token, $wanted) = @$case;
            my $answer = $client->ask('GET', $path, authorization($token));

            is(summary($answer), $wanted, "keepalive: $wanted");
            $connection //= $answer->{headers}{'x-connection'};
            is($answer->{headers}{'x-connection'}, $connection,
               'on the same connection');
        }
    }

    # core keeps no connection after 400

    my $answer = $client->ask('GET', '/', Authorization => 'Bearer a b');

    is(summary($answer), '400 malformed', 'a malformed header');
    is($answer->{headers}{connection}, 'close', 'says that it closes');
    ok($client->closed(5), 'and closes');

    $client = E2EClient->new($port);
    $answer = $client->ask('GET', '/', authorization($good),
                           authorization($bad));

    is($answer->{status}, 400, 'two Authorization headers');
    ok($client->closed(5), 'the connection is closed');

    for my $token ($good, $bad) {
        $client = E2EClient->new($port);
        $answer = $client->ask('GET', '/', authorization($token),
                               Connection => 'close');

        is($answer->{status}, $token eq $good ? 200 : 401,
           'Connection: close');
        ok($client->closed(5), 'the connection is closed');
    }
}


sub pipelining {
    my @cases = map { (
        [ GET => '/', $good, '200 ok sub=alice length=' ],
        [ GET => '/', $bad, '401 bad_signature' ],
        [ HEAD => '/', $bad, '401 bad_signature' ],
        [ POST => '/', $expired, '401 expired', "GET / HTTP/1.1\r\n\r\n" ],
        [ GET => '/admin', $good, '403 insufficient_scope' ],
        [ POST => '/', $good, '200 ok sub=alice length=5', 'hello' ],
        [ GET => '/', undef, '401 missing' ],
        [ HEAD => '/', $good, '200 ok ' ],
        [ POST => '/', $bad, '401 bad_signature', 'x' x 20_000 ],
        [ GET => '/page/', $bad, '401 bad_signature' ],
        [ GET => '/login/', $bad, '302 bad_signature' ],
        [ PUT => '/', undef, '401 missing', \"3\r\nabc\r\n0\r\n\r\n" ],
        [ GET => '/', $bob, '200 ok sub=bob length=' ],
    ) } 1 .. 4;

    my $text = join '', map {
        my ($method, $path, $token, undef, $body) = @$_;

        ref $body
            ? E2EClient::request($method, $path, authorization($token),
                                 'Transfer-Encoding' => 'chunked') . $$body
            : E2EClient::request($method, $path, authorization($token),
                                 $body // ());
    } @cases;

    for my $size (length $text, 4096, 97) {
        my $client = E2EClient->new($port);
        my $sender = fork // die "fork: $!\n";

        # another process sends, as answers have to be read meanwhile

        if (!$sender) {
            for (my $i = 0; $i < length $text; $i += $size) {
                $client->send(substr $text, $i, $size);
                sleep 0.0005 if $size < 100;
            }

            POSIX::_exit(0);
        }

        my @seen = map { summary($client->answer($_->[0])) } @cases;

        waitpid $sender, 0;

        is(join("\n", @seen), join("\n", map { $_->[3] } @cases),
           scalar(@cases) . " requests in pieces of $size bytes");
        ok(!$client->pending(0.1), 'and nothing after them');
    }
}


# Large bodies that nobody wants

sub bodies {
    my $body = 'x' x 8_000_000;
    my $chunked = join('', map { sprintf "%x\r\n%s\r\n", 50_000, 'x' x 50_000 }
                           1 .. 40) . "0\r\n\r\n";

    for my $case ([ 'a length' => E2EClient::request(POST => '/',
                                      authorization($bad), $body) ],
                  [ 'chunks' => E2EClient::request(POST => '/',
                                    authorization($bad), 'Transfer-Encoding'
                                    => 'chunked') . $chunked ])
    {
        my ($name, $text) = @$case;
        my $client = E2EClient->new($port);

        for (1 .. 2) {
            ok($client->send($text), "a large body with $name is taken");
            is(summary($client->answer), '401 bad_signature', 'and refused');

            my $answer = $client->ask(GET => '/', authorization($good));

            is(summary($answer), '200 ok sub=alice length=',
               'the connection goes on');
        }
    }

    # The answer does not wait for the body

    my $client = E2EClient->new($port);

    $client->send("POST / HTTP/1.1\r\nHost: localhost\r\n"
                  . "Authorization: Bearer $bad\r\nContent-Length: 1000\r\n"
                  . "\r\nbegin");
    is(summary($client->answer), '401 bad_signature',
       'an answer before the body has come');
    $client->send('x' x 995);
    is(summary($client->ask(GET => '/', authorization($good))),
       '200 ok sub=alice length=', 'the connection goes on after the body');

    # Clients that go away in the middle

    for (1 .. 5) {
        $client = E2EClient->new($port);
        $client->send(substr E2EClient::request(POST => '/',
                                 authorization($bad), $body), 0, 100_000);
    }

    $client = E2EClient->new($port);
    $client->send("POST / HTTP/1.1\r\nHost: localhost\r\n"
                  . "Authorization: Bearer $bad\r\n"
                  . "Transfer-Encoding: chunked\r\n\r\nno chunk\r\n");

    my $answer = $client->answer;

    cmp_ok($answer->{status}, '>=', 400, 'broken chunks are refused');
    ok($client->closed(10), 'and the connection is closed');
}


sub expect {
    my @expect = (Expect => '100-continue');
    my $body = 'x' x 5000;

    my $head = sub {
        my $text = E2EClient::request(POST => '/', authorization($_[0]),
                                      @expect, $body);

        return substr $text, 0, -length $body;
    };

    my $client = E2EClient->new($port);

    for (1 .. 2) {
        $client->send($head->($good));
        is($client->answer->{status}, 100, 'a good token: the body may come');
        $client->send($body);
        is(summary($client->answer), '200 ok sub=alice length=5000',
           'and is taken');

        # RFC 9110, section 10.1.1: the final status without 100, and a body
        # that comes nevertheless

        $client->send($head->($bad));

        my $answer = $client->answer;

        is(summary($answer), '401 bad_signature',
           'a bad token: refused without 100');

        $client->send($body);
    }

    is(summary($client->ask(GET => '/', authorization($good))),
       '200 ok sub=alice length=', 'the connection goes on');

    # what curl does of itself with a large body

    for my $case ([ $good, 200 ], [ $bad, 401 ]) {
        my ($token, $status) = @$case;

        is(E2E::output('curl', '-s', '-o', "$dir/out", '-m', 10,
                       '-w', '%{http_code}', '-H', 'Expect: 100-continue',
                       '-H', "Authorization: Bearer $token",
                       '--data-binary', "\@$dir/large",
                       "http://127.0.0.1:$port/"),
           $status, "curl with a large body: $status");
    }
}


sub compressed {
    my $client = E2EClient->new($port);

    for my $case ([ $good, '200 ok sub=alice length=', 'gzip' ],
                  [ $bad, '401 bad_signature', undef ],
                  [ $bob, '403 claim_rejected', 'gzip' ],
                  [ $good, '200 ok sub=alice length=', 'gzip' ])
    {
        my ($token, $wanted, $encoding) = @$case;

        for my $method (qw( GET HEAD )) {
            my $answer = $client->ask($method, '/gzip/', authorization($token),
                                      'Accept-Encoding' => 'gzip');

            is($answer->{headers}{'content-encoding'}, $encoding,
               "gzip: $method, $wanted: encoding")
                if $method eq 'GET';

            if ($encoding && $method eq 'GET') {
                IO::Uncompress::Gunzip::gunzip(\$answer->{body}, \my $plain)
                    or die "gunzip: $IO::Uncompress::Gunzip::GunzipError\n";

                $answer->{body} = $plain;
            }

            is(summary($answer), $method eq 'GET' || $wanted !~ /^200/
                                 ? $wanted : '200 ok ',
               "gzip: $method, $wanted");
        }
    }
}


sub error_pages {
    my $client = E2EClient->new($port);
    my @cases = (
        [ '/page/x', $bad, '401 bad_signature' ],
        [ '/page/x', $good, '404 insufficient_scope' ],
        [ '/login/x', $bad, '302 bad_signature' ],
        [ '/login/x', $good, '200 ok sub= length=' ],
    );
    my @second = curl(map { [ $_->[0], "Bearer $_->[1]" ] } @cases);

    for my $case (@cases) {
        my ($path, $token, $wanted) = @$case;
        my $answer = $client->ask(GET => $path, authorization($token));

        for (1 .. 2) {
            my $name = "error_page, HTTP/$_: $wanted";

            $answer = shift @second if $_ == 2;
            is(summary($answer), $wanted, $name);

            if ($answer->{status} == 401) {
                is($answer->{body}, "a page about 401\n", "$name: the page");
                is($answer->{headers}{'content-type'}, 'text/html',
                   "$name: its type");
                is($answer->{headers}{'content-length'}, 17,
                   "$name: its length");
                like($answer->{headers}{'www-authenticate'},
                     qr/^Bearer realm="api", error="invalid_token"/,
                     "$name: the challenge");

            } elsif ($answer->{status} == 404) {
                is($answer->{body}, "nothing here\n", "$name: the text");

            } elsif ($answer->{status} == 302) {
                is($answer->{headers}{location}, 'https://login.example.com/',
                   "$name: the location");
            }
        }
    }
}


sub authorization {
    my ($token) = @_;

    return defined $token ? (Authorization => "Bearer $token") : ();
}


# An answer in one line: of our own errors only the status, once the body is
# what it has to be.

sub summary {
    my ($answer) = @_;

    return 'no answer' if !$answer || !$answer->{status};

    my $status = $answer->{status};
    my $text = "$status " . ($answer->{headers}{'x-status'} // '');
    my $body = $answer->{body};

    chomp $body;

    return "$text $body" if $status == 200;

    if (($answer->{headers}{'content-type'} // '') =~ /problem/
        && length $body)
    {
        my $problem = eval { JSON::PP::decode_json($body) };

        return "$text and another body: $body"
            if !$problem || $problem->{status} != $status;
    }

    return $text;
}


# Requests over HTTP/2, at the same time unless { serial => 1 }: [ path,
# Authorization, more options of curl ].

sub curl {
    my %all = ref $_[0] eq 'HASH' ? %{ +shift } : ();
    my @requests = @_;

    my $serial = delete $all{serial};
    my @texts;

    unlink glob "$dir/curl.*";

    for my $n (0 .. $#requests) {
        my ($path, $authorization, %options) = @{ $requests[$n] };

        my @lines = (
            "url = \"https://127.0.0.1:$port2$path\"",
            "output = \"$dir/curl.body.$n\"",
            "dump-header = \"$dir/curl.head.$n\"",
            'insecure',
            'http2',
            'silent',
        );

        push @lines, "header = \"Authorization: $authorization\""
            if defined $authorization;

        %options = (%options, 'max-time' => 20, %all);

        push @lines, defined $options{$_} ? "$_ = \"$options{$_}\"" : $_
            for sort keys %options;

        push @texts, join '', map { "$_\n" } @lines;
    }

    E2E::spew("$dir/curl.conf", join "next\n", @texts);
    E2E::output('curl', $serial ? () : ('--parallel', '--parallel-max', 300),
                '-K', "$dir/curl.conf");

    return map { curl_answer($_) } 0 .. $#requests;
}


sub curl_answer {
    my ($n) = @_;

    my ($head, $body) = map { -e "$dir/curl.$_.$n"
                              ? E2E::slurp("$dir/curl.$_.$n") : '' }
                        qw( head body );

    # curl writes the head of what has no body in its place

    $body =~ s/\A\Q$head\E//;

    # of several heads (100 Continue) the last

    my ($last) = $head =~ m{.*(HTTP/2 .*)\z}s or return {};
    my ($line, @lines) = split /\r\n/, $last;
    my ($status) = $line =~ m{^HTTP/2 (\d+)};

    return {
        status => $status,
        headers => { map { my ($name, $value) = split /:\s*/, $_, 2;
                           lc $name => $value } @lines },
        body => $body,
    };
}
