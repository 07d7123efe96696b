#!/usr/bin/perl

# What docs/route.md's examples and tables say, beyond passing nginx -t.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use IO::Socket::INET;
use NgxGatewayDocs;
use NgxGatewayJWT;
use Test::More;
use Time::HiRes qw( sleep );

need_nginx();

my $dir = work_dir();
my ($port, $service, $other_port) = free_ports(3);
my $page = slurp("$ROOT/docs/route.md");

# two examples may stand under one heading

my %examples;

push @{ $examples{ $_->{heading} } }, $_ for examples('docs/route.md');

# What clients may say of their address, to be others

my $addresses = "
    set_real_ip_from 127.0.0.1;
    real_ip_header X-From;
";


recipe('Example', sub {
    my ($table) = $page =~ /^\| request \| answer \|\n\|[-|]+\n((?:\|.*\n)+)/m;
    my @rows = $table =~ /^\| `(\S+ \S+)` \| (.*) \|$/mg;

    is(scalar @rows, 18, 'the table of the page');

    while (my ($request, $answer) = splice @rows, 0, 2) {
        my $is = ask($request);

        if ($answer =~ /^of `(\w+)`(?:,|$)/) {
            is($is, "$1 $request", $request);

        } elsif ($answer =~ /^(\d+), `Allow: (.*)`$/) {
            is($is, "$1 $2", $request);

        } elsif ($answer =~ /^\d+$/) {
            is($is, "$answer -", $request);

        } else {
            like($answer, qr/^of `search_new` for one address in ten/,
                 'the last one');
        }
    }

    my %sides;

    for my $n (1 .. 250) {
        my @asked = ('GET /search?q=a', 'x-from' => "192.0.2.$n");
        my ($side) = ask(@asked) =~ /^(\w+)/;

        $sides{$side}++;
        is(ask(@asked), "$side GET /search?q=a", "192.0.2.$n stays")
            if $n % 50 == 0;
    }

    is(join(' ', sort keys %sides), 'search_new search_old', 'both sides');
    cmp_ok($sides{search_new}, '<', 60, 'and how many there are');

    like($page, qr/^HTTP\/1\.1 405 Method Not Allowed\n/m, 'the answer');

    my ($problem) = $page =~ /^(\{"type":"about:blank".*\})$/m;
    my $instance = qr/"instance":"[0-9a-f]{32}"/;

    is(get(url('/users/7'), method => 'DELETE')->{content} =~ s/$instance//r,
       "$problem\n" =~ s/$instance//r, 'its body');
    like(slurp("$dir/error.log"),
         qr/\[info\].*gateway_route \$service: no route takes "\/files"/,
         'the log');
});

# "What takes what" of the templates' table

{
    my ($table) = $page =~ /^\| template \| takes .*\n\|[-|]+\n((?:\|.*\n)+)/m;
    my @rows = $table =~ /^\| `(\S+)` \| (.*?) \| (.*) *\|$/mg;

    is(scalar @rows, 21, 'the table of templates');

    my $n = 0;
    my ($tables, $servers) = ('', '');
    my @wanted;

    while (my ($template, $takes, $leaves) = splice @rows, 0, 3) {
        $tables .= "gateway_routes \$t$n { * $template t; }\n";
        $servers .= "server { listen 127.0.0.1:$port; server_name t$n;
                     gateway_route \$t$n; location / { empty_gif; } }\n";

        push @wanted, map { [ $_, $n, 200 ] } $takes =~ /`([^`]+)`/g;
        push @wanted, map { [ $_, $n, 404 ] } $leaves =~ /`([^`]+)`/g;
        push @wanted, [ '/x/y', $n, 200 ] if $takes eq 'every path';
        $n++;
    }

    with("$tables$servers", sub {
        for my $wanted (@wanted) {
            my ($path, $table, $status) = @$wanted;

            is(fetch("GET $path", host => "t$table")->{status}, $status,
               "template $table: $path is $status");
        }
    });
}

# The forms of paths, and what they are said to be compared as

{
    my ($table) = $page
                  =~ /^\| the client asks for .*\n\|[-|]+\n((?:\|.*\n)+)/m;
    my @rows = map { [ split /\|/ ] } split /\n/, $table;

    is(scalar @rows, 15, 'the table of paths');

    with("gateway_routes \$to { * /*path t; }
          server { listen 127.0.0.1:$port;
              location / { add_header X-To =/\$gateway_path_path; empty_gif; }
          }\n",
    sub {
        for my $row (@rows) {
            my (undef, $asked, $compared, $why) = @$row;
            my @paths = $asked =~ /`([^`]+)`/g;
            my @as = $compared =~ /`([^`]+)`/g;

            push @paths, "/caf\xc3\xa9" if $asked =~ /caf/;
            $as[0] .= "\xff" if $asked =~ /%FF/;

            for my $i (0 .. $#paths) {
                my $answer = fetch("GET $paths[$i]");

                is(@as ? $answer->{headers}{'x-to'} : $answer->{status},
                   @as ? '=' . ($as[$i] // $as[-1]) : ($why =~ /(\d+)/)[0],
                   "the path $paths[$i]");
            }
        }
    });
}

recipe('Which line takes a request', sub {
    my ($text) = @_;

    # without the best ones, one after the other

    my @lines = grep { /;$/ } split /\n/, $text;
    my @order;

    while (@lines) {
        my $some = join "\n", @lines;
        my $line = '';

        with("gateway_routes \$line { $some }
              server { listen 127.0.0.1:$port;
                  location / { add_header X-Line \$line; empty_gif; } }\n",
             sub { $line = get(url('/users/me'))->{headers}{'x-line'} });

        push @order, $line // '-';
        @lines = grep { !/ \Q$order[-1]\E;$/ } @lines or last;
        last if !defined $line;
    }

    is("@order", '1 3 4 5 6 -', 'from the best one down')
        or diag($text);
}, 1);

recipe('How a path is compared', sub {
    is(ask('GET /users/a/../b%20c?d=%20'), 'users GET /users/b%20c?d=%20',
       'a path is sent as it was compared');
    is(ask('GET /users/a%3Fb'), 'users GET /users/a%3Fb', 'and encoded');
    is(ask('GET /x'), '404 -', 'the table is there');
});

recipe('Hosts', sub {
    is(ask('GET /x', host => 'shop.example.com'), 'shop GET /x', 'a host');
    is(ask('GET /x', host => 'a.b.customers.example.com'), 'tenants GET /x',
       'those below another');
    is(ask('GET /x', host => 'customers.example.com'), '404 -', 'not itself');
    is(ask('GET /status', host => $_), 'status GET /status', "status of $_")
        for qw( shop.example.com example.org );
    is(ask('GET /users/7', host => 'api.example.com:80'), 'users GET /users/7',
       'a third');
    is(ask('POST /users/7', host => 'api.example.com'), '405 GET, HEAD',
       'and its methods');
    is(ask('GET /users/7', host => 'example.org'), '404 -', 'no host');
}, 0, 'x-host');

recipe('Another path for the service', sub {
    is(ask('GET /users/a%20b'), 'users GET /v2/people/a%20b', 'a path');
    is(ask('GET /photos/7'), 'files GET /7.jpg', 'and a suffix');
    is(ask('GET /search/a%26b'), 'search GET /?q=a%26b', 'an argument');
    is(ask('PUT /old/a/b%20c?d=e'), 'legacy PUT /a/b%20c?d=e', 'the rest');
    is(ask('GET /users/7?x=y'), 'users GET /v2/people/7',
       'arguments are not handed on');
});

recipe('What is new, for those who ask for it', sub {
    is(ask('GET /search'), 'search GET /search', 'without asking');
    is(ask('GET /search', 'x-canary' => 1), 'search_new GET /search', 'header');
    is(ask('GET /search?version=2'), 'search_new GET /search?version=2',
       'query');
    is(ask('GET /search', cookie => 'canary=yes'), 'search_new GET /search',
       'cookie');
    is(ask('GET /search', cookie => 'canary=0'), 'search GET /search',
       'a cookie of 0');
});

recipe('A share of the users', sub {
    my %sides;

    is(ask('GET /search'), '401 -', 'nobody');

    for my $n (1 .. 60) {
        my @user = (authorization => 'Bearer ' . jwt({ sub => "user-$n" }));
        my $answer = get(url('/search'), @user);
        my ($side) = $answer->{content} =~ /^(\w+)/;

        $sides{$side}++;

        if ($n <= 5) {
            is(ask('GET /search', @user, 'x-from' => "192.0.2.$n"),
               "$side GET /search", "user $n keeps the side");
            is($answer->{headers}{'x-told'}, $side, 'and it is told');
        }
    }

    is(join(' ', sort keys %sides), 'search search_new', 'both sides');
    cmp_ok($sides{search_new}, '<', 20, 'and how many there are');
}, 0, 'x-side');

recipe('A share that is in one place', sub {
    my ($text) = @_;

    for my $case ([ 0, 0, 0 ], [ 10, 1, 35 ], [ 100, 100, 100 ]) {
        my ($share, $least, $most) = @$case;

        with($text =~ s/default  10;/default  $share;/r, sub {
            my @rows = sides();

            for my $new (qw( search_new suggest_new )) {
                my $count = grep { /\b$new\b/ } @rows;

                ok($count >= $least && $count <= $most,
                   "a share of $share: $new") or diag($count);
            }
        });
    }
}, 1);

recipe('The old system takes the rest', sub {
    is(ask('GET /users/7'), 'users GET /users/7', 'the new one');
    is(ask('POST /users/7'), 'monolith POST /users/7', 'another method');
    is(ask('OPTIONS /users/7'), 'monolith OPTIONS /users/7', 'OPTIONS');
    is(ask('GET /x/y'), 'monolith GET /x/y', 'the rest');
});

recipe('Preflights', sub {
    my $answer = get(url('/orders'), method => 'OPTIONS',
                     origin => 'https://app.example.com',
                     'access-control-request-method' => 'POST');
    my $headers = $answer->{headers};

    is($answer->{status}, 204, 'an answer');
    is($headers->{'access-control-allow-methods'}, 'GET, HEAD, POST',
       'the methods');
    is($headers->{'access-control-allow-origin'}, 'https://app.example.com',
       'the origin');
    is($headers->{'access-control-max-age'}, 600, 'for how long');

    $answer = get(url('/orders'), authorization => 'Bearer ' . jwt());
    $headers = $answer->{headers};

    is($answer->{content}, "orders GET /orders\n", 'the request itself');
    ok(!exists $headers->{'access-control-allow-methods'}, 'without methods');
    is($headers->{'access-control-allow-origin'}, 'https://app.example.com',
       'with the origin');
    is(ask('POST /orders'), '401 -', 'which needs a token');
    is(ask('OPTIONS /none'), '404 -', 'no preflight for nothing');
});

recipe('Tokens, scopes and tenants', sub {
    my $as = sub {
        my ($request, $tenant, $scope) = @_;

        return ask($request, authorization => 'Bearer '
                   . jwt({ tenant => $tenant, scope => $scope }));
    };
    my $orders = '/tenants/a/orders/7';

    is($as->("GET $orders", 'a', 'x orders:read'), "orders GET $orders",
       'a reader reads');
    is($as->("PUT $orders", 'a', 'orders:read'), '403 -', 'and writes not');
    is($as->("PUT $orders", 'a', 'orders:write'), "orders PUT $orders",
       'a writer does');
    is($as->("GET $orders", 'b', 'orders:read'), '403 -', 'another tenant');
    is($as->('GET /tenants/a/users/1', 'a', 'orders:read orders:write'),
       '403 -', 'another scope');
    is($as->('GET /tenants/a/users/1', 'a', 'users:admin'),
       'users GET /tenants/a/users/1', 'the right one');
    is($as->('GET /tenants/a/x', 'a', 'none'), '404 -', 'no route');
    is(ask("GET $orders"), '401 -', 'nobody');
});

recipe('Limits by route', sub {
    my @from = ('x-from' => '192.0.2.1');
    my @searches = map { get(url('/search'), @from)->{status} } 1 .. 10;

    is(join(' ', @searches[0 .. 4]), '200 200 200 200 200', 'five searches');
    cmp_ok(scalar(grep { $_ == 429 } @searches), '>=', 4, 'no more');
    is(get(url('/orders/1'), @from)->{status}, 200, 'orders go on');
    is(get(url('/search'), 'x-from' => '192.0.2.2')->{status}, 200,
       'and others');

    my $left = get(url('/orders/2'), @from)->{headers}{ratelimit};

    like($left, qr/^"by_route";r=3\d;/, 'one bucket for all orders');
});

recipe('The log', sub {
    get(url('/users/7'));
    get(url('/search'));
    get(url('/none'));

    my $log = '';

    for (1 .. 100) {
        $log = slurp("$dir/routes.log");
        last if (() = $log =~ /\n/g) == 3;
        sleep 0.02;
    }

    like($log, qr{^\S+ GET "/users/:id" 200 users - \d\.\d{3}$}m, 'a line');
    like($log, qr{^\S+ GET "/search" 200 search(?:_new)? random \d\.\d{3}$}m,
         'a split');
    like($log, qr{^\S+ GET "-" 404 - - -$}m, 'nothing');
});

recipe('Answers of your own', sub {
    my $answer = get(url('/none'));

    is($answer->{status}, 404, 'the status');
    is($answer->{content}, '{"error":"there is no such thing"}', 'the body');
    is($answer->{headers}{'content-type'}, 'application/json', 'its type');
    is(ask('GET /users/7'), 'users GET /users/7', 'what there is');
});

recipe('A table of its own for what is internal', sub {
    my ($inside) = slurp("$dir/recipe.conf")
                   =~ /listen\s+127\.0\.0\.1:(?!$port\b)(?!$service\b)(\d+)/;

    is(ask('GET /users/7'), 'users GET /users/7', 'outside');
    is(ask('GET /admin/x'), '404 -', 'outside, what is inside');
    is(get("http://127.0.0.1:$inside/admin/x")->{content},
       "admin GET /admin/x\n", 'inside');
    is(get("http://127.0.0.1:$inside/users/7")->{status}, 404,
       'inside, what is outside');
});

# The table for those who come from nginx: both sides take the same paths.

{
    my ($table) = $page =~ /^\| nginx \| here \|\n\|[-|]+\n((?:\|.*\n)+)/m;
    my @rows = $table =~ /^\| `(location [^`]*)` \| `([^`]*)` \|$/mg;
    my @paths = qw( / /users /users/ /users/7 /users/7/ /users/7/x /users/x
                    /files /files/ /files/a/b /orders/7 /orders/7x /orders/ );

    is(scalar @rows, 8, 'four locations');

    my ($tables, $servers, $n) = ('', '', 0);

    for (my $i = 0; $i < @rows; $i += 2) {
        my $location = $rows[$i] =~ s/\{.*\}/{ empty_gif; }/r;

        $tables .= "gateway_routes \$t$n { $rows[$i + 1] }\n";
        $servers .= "server { listen 127.0.0.1:$port; server_name l$n;
                         $location location / { return 404; } }
                     server { listen 127.0.0.1:$port; server_name t$n;
                         location / { gateway_route \$t$n; empty_gif; } }\n";
        $n++;
    }

    with("$tables$servers", sub {
        for my $i (0 .. $n - 1) {
            for my $path (@paths) {
                my ($old, $new) = map { fetch("GET $path", host => "$_$i")
                                        ->{status} } qw( l t );

                is($new, $old, "$rows[2 * $i]: $path");
            }
        }
    });
}

is_deeply([ sort keys %examples ], [], 'all examples were tried');

done_testing();


# The only example below a heading, run; or its text only, with $alone.  What
# the service is told in the header $told comes back as X-Told.

sub recipe {
    my ($heading, $test, $alone, $told) = @_;

    my ($example) = @{ delete $examples{$heading} // [] };

    subtest $heading => sub {
        ok($example, 'it is there') or return;

        return $test->($example->{text}) if $alone;

        with($example->{text}, $test, $told);
    };
}


# Runs nginx on such a text of the http block.

sub with {
    my ($text, $test, $told) = @_;

    my $conf = complete('http', $text, $port, $service);
    my $header = ($told // 'x-none') =~ tr/-/_/r;

    # upstreams for all words that may be values

    my %names = map { $_ => 1 } qw( users orders files search search_new legacy
                                    shop tenants status monolith suggest
                                    suggest_new metrics admin );

    delete @names{ $conf =~ /^upstream\s+(\w+)/mg };

    my $upstreams = join '', map { "upstream $_ {
        server 127.0.0.1:$service; }\n" } sort keys %names;

    # "Host" is the upstream's name, or what the client asked for

    $conf = startable($conf, "$addresses$upstreams
        server {
            listen 127.0.0.1:$service;

            location / {
                add_header X-Told \$http_$header;
                return 200 \"\$host \$request_method \$request_uri\\n\";
            }
        }\n");

    # a host that is passed on says nothing of the upstream

    $conf =~ s/proxy_set_header\s+Host\s+\$host;/proxy_set_header X-Host \$host;
              /g;

    unlink "$dir/error.log", "$dir/routes.log";
    spew("$dir/recipe.conf", $conf =~ s/error\.log(?=;)/error.log info/r);

    my $pid = nginx_start($dir, "$dir/recipe.conf", $port);

    ok($pid, 'it starts') or return;
    $test->($text);
    nginx_stop($pid);

    unlike(slurp("$dir/error.log"), qr/\[(?:alert|crit|emerg|warn)\]/,
           'nothing is alarming');
}


sub url {
    return "http://127.0.0.1:$port$_[0]";
}


# "UPSTREAM METHOD URI" as the service was asked, or "STATUS ALLOW".

sub ask {
    my ($request, %headers) = @_;

    my $answer = fetch($request, %headers);

    return $answer->{status} . ' ' . ($answer->{headers}{allow} // '-')
        if $answer->{status} != 200;

    return $answer->{content} =~ s/\n\z//r;
}


# As NgxGatewayDocs::get() has it, with any host and any bytes.

sub fetch {
    my ($request, %headers) = @_;

    $headers{host} //= '127.0.0.1';

    my $socket = IO::Socket::INET->new("127.0.0.1:$port")
        or return { status => 0, headers => {}, content => '' };

    local $/;
    print $socket join "\r\n", "$request HTTP/1.0",
                  map({ "$_: $headers{$_}" } sort keys %headers), '', '';

    my ($head, $content) = split /\r\n\r\n/, readline($socket) // '', 2;
    my ($status) = ($head // '') =~ m{^HTTP/\S+ (\d+)};
    my %got = map { lc($_->[0]) => $_->[1] }
              map { [ /^([^:]+): ?(.*)$/ ] } grep { /:/ }
              split /\r\n/, $head // '';

    return { status => $status // 0, headers => \%got, content => $content };
}


# What addresses get of the two locations

sub sides {
    return map {
        my @from = ('x-from' => "192.0.2.$_");

        join ' ', map { ask("GET $_", @from) =~ /^(\w+)/ }
                  qw( /search /suggestions );
    } 1 .. 100;
}
