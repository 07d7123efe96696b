#!/usr/bin/perl

# What docs/aggregate.md's examples do, beyond passing nginx -t.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use IO::Socket::INET;
use NgxGatewayDocs;
use NgxGatewayJWT;
use NgxGatewaySystem qw( attempts );
use Test::More;
use Time::HiRes qw( sleep time );

need_nginx();

my $dir = work_dir();
my ($port, $service, $silent_port) = free_ports(3);
my $page = slurp("$ROOT/docs/aggregate.md");
my %examples = map { $_->{heading} => $_ } examples('docs/aggregate.md');

# A service that takes connections and says nothing.

my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 64,
                                   LocalPort => $silent_port)
    or die "port $silent_port: $!";

# The services, by the name that "proxy_pass" has.  Clients say which of them
# are down (X-Down) or slow (X-Slow).

my $large = 'x' x 1100;

my %services = (
    users    => 'location = /_users/7 {
                     return 200 \'{"id":7,"name":"Ann",'
                     . '"team":{"name":"a/b &c?"}}\n\';
                 }
                 location = /_users/8 { return 200 \'{"id":8}\'; }
                 location / { return 404 \'{"error":"nobody"}\'; }',
    orders   => 'location / {
                     if ($arg_user) { return 200 \'[{"id":1,"total":12.50}]\'; }
                     if ($http_x_large) { return 200 \'"LARGE"\'; }
                     if ($request_method = POST) {
                         return 201 \'{"order":1}\';
                     }
                     return 200 \'{"count":3,"items":[{"id":1}]}\';
                 }',
    ads      => 'location / { return 200 \' ["shoes"] \'; }',
    news     => 'location / {
                     if ($http_x_none) { return 404 \'{"none":1}\'; }
                     return 200 \'{"count":12}\';
                 }',
    teams    => 'location / { return 200 \'{"manager":8}\'; }',
    carts    => 'location / {
                     return 200 \'{"items":[{"product":"b"},{"product":"a"},'
                     . '{"product":"b"}],"skus":[]}\';
                 }',
    products => 'location ~ ^/_products/(?<product>.+)$ {
                     return 200 \'{"id":"$product","stock":1,"price":2.50}\';
                 }',
    prices   => 'location / { return 200 1; }',
    accounts => 'location / {
                     return 200 \'{"data":{"iban":"x", "owner":"Ann", '
                     . '"limit":1e400}}\';
                 }',
    ratings  => 'location / { return 200 5; }',
    mails    => 'location / { return 202 null; }',
    audit    => 'location / { return 200 true; }',
);


recipe('Example', sub {
    my ($complete, $partial) =
        $page =~ /^(\{"user":\{"id":7,"name":"Ann"\}.*)$/mg;

    my $answer = get(url('/dashboard/7'));

    is($answer->{status}, 200, 'all three');
    is(without_team($answer->{content}), $complete, 'the answer of the page');
    is(told($answer), 'complete', 'which is complete');
    is($answer->{headers}{'content-length'}, length $answer->{content},
       'and has a length');

    $answer = get(url('/dashboard/7'), 'x-down' => 'orders',
                  'x-slow' => 'ads');

    is(without_team($answer->{content}), $partial, 'one down, one slow');
    is(told($answer), 'partial; missing="orders,ads"', 'and which');

    $answer = get(url('/dashboard/7'), 'x-down' => 'users');
    is($answer->{status}, 502, 'the required one is down');
    like($answer->{content},
         qr/"parts":\[\{"name":"user","status":500,"reason":"its status /,
         'and the answer says so');

    is(get(url('/_users/7'))->{status}, 404, 'clients cannot ask a part');
    is(get(url('/dashboard/7'), method => 'POST')->{status}, 405,
       'nor POST the whole');

    asked();
    get(url('/dashboard/a%3Fb%26c'));
    is(join(' ', sort(asked())),
       'ads:/_ads orders:/_orders?user=a%3Fb%26c users:/_users/a%3Fb%26c',
       'a value stays one');
});

recipe('Variables', sub {
    get(url('/dashboard'), 'x-down' => 'orders');

    # it is written when the answer has been sent

    for (1 .. 100) {
        last if slurp("$dir/aggregate.log") =~ m{GET /dashboard};
        select undef, undef, undef, 0.02;
    }

    like(slurp("$dir/aggregate.log"),
         qr{\ GET\ /dashboard\ 200\ partial
            \ "user:200:\d\.\d{3}:\d+,\ orders:500:\d\.\d{3}:\d+"$}mx,
         'the log');
});

recipe('A dashboard of three services', sub {
    my $answer = get(url('/dashboard'));

    is($answer->{status}, 200, 'it answers');
    like($answer->{headers}{'server-timing'},
         qr/^user;dur=\d+;desc="200", orders;.*, ads;dur=\d+;desc="200"$/,
         'and says how long it took');

    my $took;

    attempts(sub {
        my $begin = time;

        $answer = get(url('/dashboard'), 'x-slow' => 'ads');
        $took = time - $begin;

        return abs($took - 2) < 0.9;
    });

    is($answer->{status}, 504, 'one is silent');
    like($answer->{content}, qr/"the whole answer timed out"/, 'and why');
    ok(abs($took - 2) < 0.9, 'after two seconds');
});

recipe('Optional parts and defaults', sub {
    my $down = get(url('/home'), 'x-down' => 'orders ads news');

    is(without_team($down->{content}),
       '{"user":{"id":7,"name":"Ann"},"ads":{"items":[]},"news":[]}',
       'what is left');
    is(told($down), 'partial; missing="orders,ads,news"', 'what is not');
    like(get(url('/home'), 'x-none' => 1)->{content}, qr/"news":\{"none":1\}\}$/,
         'a 404 that is an answer');
    is(get(url('/home'), 'x-down' => 'users')->{status}, 502, 'required');
});

recipe('Parts that need others', sub {
    asked();

    like(get(url('/people/7'))->{content},
         qr/"team":\{"manager":8\},"manager":\{"id":8\}\}$/, 'three deep');
    is(join(' ', asked()), 'users:/_users/7 '
       . 'teams:/_teams?name=a%2Fb%20%26c%3F users:/_users/8',
       'one after the other');

    my $answer = get(url('/people/9'));

    is($answer->{status}, 404, 'nobody');
    is($answer->{content}, '{"error":"nobody"}', 'as the service has it');
    is(join(' ', asked()), 'users:/_users/9', 'and no more is asked');
});

recipe('Once for each element', sub {
    asked();

    is(get(url('/carts/5'))->{content} =~ s/^.*"products"/"products"/r,
       '"products":[{"id":"b","price":2.50},{"id":"a","price":2.50},'
       . '{"id":"b","price":2.50}],"prices":[]}', 'in the order of elements');
    is(join(' ', sort(asked())), 'carts:/_carts/5 products:/_products/a '
       . 'products:/_products/b', 'each of them once');
});

recipe('Members at the root, and nested ones', sub {
    my ($text) = $page =~ /^This answers `(\{.*?\})`\./m;

    is(without_team(get(url('/profile'))->{content}), $text, 'as the page has');
    is(get(url('/profile'), 'x-down' => 'orders')->{status}, 502,
       'without a required one');
    is(without_team(get(url('/profile'), 'x-down' => 'news')->{content}),
       '{"id":7,"name":"Ann","stats":{"orders":3}}', 'an optional one');
});

recipe('Less of a part', sub {
    is(get(url('/summary'))->{content},
       '{"user":{"id":7,"display_name":"Ann"},'
       . '"account":{ "owner":"Ann", "limit":1e400},"first":{"id":1}}',
       'what is left');
});

recipe('Timeouts', sub {
    my ($answer, $took);

    attempts(sub {
        my $begin = time;

        $answer = get(url('/dashboard'), 'x-slow' => 'ratings');
        $took = time - $begin;

        return $took < 0.9;
    });

    is(told($answer), 'partial; missing="ratings"', 'one is slow');
    cmp_ok($took, '<', 0.9, 'and not waited for');

    $answer = get(url('/dashboard'), 'x-slow' => 'users');
    is($answer->{status}, 504, 'a timeout of the location');
    like($answer->{content}, qr/"name":"user","status":504,"reason":"it timed/,
         'and whose');
});

recipe("The client's body", sub {
    my $answer = post('/checkout', '{"items":[1,2]}');

    asked();
    is($answer->{status}, 200, 'it answers');
    is($answer->{content}, '{"order":{"order":1},"mail":null,"audit":true}',
       'all three');

    my $bodies = slurp("$dir/bodies.log");

    like($bodies, qr{^orders POST 15 application/json -$}m, 'the body');
    like($bodies, qr{^mails POST 15 application/json -$}m, 'once more');
    like($bodies, qr{^audit POST \d\d application/json gateway$}m, 'another');
    is(get(url('/checkout'))->{status}, 405, 'no GET');
});

recipe('Parts from the cache', sub {
    asked();
    is(get(url('/start'))->{status}, 200, "request $_") for 1 .. 3;
    is(join(' ', sort(asked())),
       'news:/_news users:/_users/7 users:/_users/7 users:/_users/7',
       'the news were fetched once');
});

recipe('Who may ask', sub {
    my @token = (authorization => 'Bearer ' . jwt({ sub => '7' }));

    asked();
    is(get(url('/me'))->{status}, 401, 'nobody');
    is(join(' ', asked()), '', 'no part is asked then');

    is(get(url('/me'), @token)->{status}, 200, 'with a token');
    is(join(' ', sort(asked())),
       'orders:/_orders?user=7 users:/_users/7', 'the claim');
    unlike(slurp("$dir/bodies.log"), qr/Bearer/, 'the token stays here');
    is(get(url('/_users/7'), @token)->{status}, 404, 'no part by itself');
});

recipe('Memory', sub {
    is(get(url('/small'))->{status}, 200, 'small parts');
    is(told(get(url('/small'), 'x-large' => 'orders')),
       'partial; missing="orders"', 'a large one');
});

is_deeply([ sort keys %examples ], [], 'all examples were tried');

done_testing();


sub recipe {
    my ($heading, $test) = @_;

    my $example = delete $examples{$heading};

    subtest $heading => sub {
        ok($example, 'it is there') or return;

        unlink map { "$dir/$_.log" } qw( services bodies error );

        my $text = startable(complete($example->{context}, $example->{text},
                                      $port, $service), services());

        $text =~ s/^http \{\n/$&    access_log off;\n/m
            if $example->{text} !~ /\baccess_log\b/;

        spew("$dir/recipe.conf", $text);

        my $pid = nginx_start($dir, "$dir/recipe.conf", $port);

        ok($pid, 'it starts') or return;
        $test->();
        nginx_stop($pid);

        unlike(-e "$dir/error.log" ? slurp("$dir/error.log") : '',
               qr/\[(?:alert|crit|emerg)\]/, 'nothing is alarming');
    };
}


sub services {
    my $text = "log_format services '\$host:\$request_uri';\n"
               . "log_format bodies '\$host \$request_method \$content_length"
               . " \$content_type \$http_x_source"
               . "' ;\n";

    for my $name (sort keys %services) {
        my $locations = $services{$name} =~ s/'\s*\.\s*'//gr
                                          =~ s/LARGE/$large/r;

        $locations =~ s/^( *location [^\{]*\{)/$1
            if (\$http_x_down ~ $name) { return 500; }
            if (\$http_x_slow ~ $name) {
                proxy_pass http:\/\/127.0.0.1:$silent_port;
                break;
            }/mg;

        $text .= "server {
            listen 127.0.0.1:$service;
            server_name $name;
            default_type application/json;
            access_log $dir/services.log services;
            access_log $dir/bodies.log bodies;
            $locations
        }\n";
    }

    return $text;
}


# What the services were asked since the last time, in order.

sub asked {
    sleep 0.05;

    my @lines = -e "$dir/services.log"
                ? split /\n/, slurp("$dir/services.log") : ();

    truncate "$dir/services.log", 0;

    return @lines;
}


sub told {
    return $_[0]{headers}{'gateway-aggregate'};
}


# The user as the page has it

sub without_team {
    return $_[0] =~ s/,"team":\{[^}]*\}//r;
}


sub post {
    my ($path, $body) = @_;

    return HTTP::Tiny->new(proxy => undef, http_proxy => undef)
        ->post(url($path), { content => $body,
                             headers => { 'content-type' =>
                                          'application/json' } });
}


sub url {
    return "http://127.0.0.1:$port$_[0]";
}
