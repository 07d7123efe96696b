
# What the client gets: valid parts that come in odd ways, several failures at
# once, limits of size, errors=pass, caches, upstreams, filters.

use strict;
use warnings;

use lib 't/lib';
use E2EClient;
use NgxGatewayBackend;
use NgxGatewayNginx;
use NgxGatewaySystem qw( attempts wait_for );
use Time::HiRes qw( time sleep );

use Test::More;

my $TYPE = 'Content-Type';
my $large = '["' . 'x' x 300_000 . '"]';
my $text = '{"a":[12.50,1e400,"\\u00e9\\ud800"],"b":{"c":null}}';

sub chunks {
    my ($body, $size) = @_;

    return answer(200, join('', map { sprintf "%x\r\n%s\r\n", length $_, $_ }
                                unpack("(a$size)*", $body), ''),
                  $TYPE => 'application/json',
                  'Transfer-Encoding' => 'chunked');
}

my %answers = (
    '/good' => json('{"id":1}'),
    '/late' => [ [ sleep => 0.05 ], json('{"id":2}') ],
    '/500' => answer(500, '', 'Content-Length' => 0),
    '/reset' => [ [ 'reset' ] ],
    '/hang' => [ [ 'hang' ] ],
    '/bytes' => [ [ bytes => json($text) ] ],
    '/chunks' => chunks($text, 1),
    '/chunk_bytes' => [ [ bytes => chunks($text, 1) ] ],
    '/chunks_late' => [ map { ($_, [ sleep => 0.002 ]) }
                        unpack '(a37)*', chunks($text, 3) ],
    '/bytes_close' => [ [ bytes => "HTTP/1.0 200 OK\r\n\r\n$text" ],
                        [ 'close' ] ],
    '/spaces' => json(" \r\n\t$text\n\n "),
    '/large' => json($large),
    '/large_chunks' => chunks($large, 1000),
    '/large_close' => [ "HTTP/1.0 200 OK\r\n\r\n$large", [ 'close' ] ],
    '/large_slow' => [ map { ($_, [ sleep => 0.001 ]) }
                       unpack '(a7001)*', json($large) ],
    '/deep' => json('[' x 64 . ']' x 64),
    '/surrogate' => json('"\\ud800"'),
    '/null' => json('null'),
    '/number' => json('12.50'),
    '/text' => answer(200, '{"t":1}', $TYPE => 'text/plain',
                      'Content-Length' => 7),
    '/no_type' => answer(200, '{"t":1}', 'Content-Length' => 7),
    '/identity' => answer(200, '{"t":1}', 'Content-Encoding' => 'identity',
                          'Content-Length' => 7),
    '/201' => answer(201, '{"t":1}', 'Content-Length' => 7),
    '/1000' => json('"' . 'x' x 998 . '"'),
    '/1001' => json('"' . 'x' x 999 . '"'),
    '/1001_chunks' => chunks('"' . 'x' x 999 . '"', 10),
    '/401' => answer(401, '{"e":1}', $TYPE => 'application/json',
                     'WWW-Authenticate' => 'Bearer realm="x"',
                     'Set-Cookie' => 'a=b', 'Content-Length' => 7),
    '/429' => answer(429, 'slow down', $TYPE => 'text/plain',
                     'Retry-After' => 7, 'Content-Length' => 9),
    '/404' => answer(404, '', 'Content-Length' => 0),
    '/409_chunks' => answer(409, "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
                            $TYPE => 'text/html',
                            'Transfer-Encoding' => 'chunked'),
    '/redirect' => answer(200, '', 'X-Accel-Redirect' => '/_static/a.json',
                          'Content-Length' => 0),
    '/stale' => [ [ sleep => 0.3 ], json('{"new":1}') ],
);

my $backend = NgxGatewayBackend->new(%answers);
my $port = $backend->port();

# name => parts, status, body, %headers

my @cases;
my $locations = '';

sub case {
    my ($name, $lines, $parts, $status, $body, %headers) = @_;

    push @cases, [ $name, $status, $body, \%headers ];
    $locations .= <<"_EOC_";
        location = /$name {
            $lines
            gateway_aggregate {
                $parts
            }
        }
_EOC_
}

sub problem {
    my ($status, @parts) = @_;

    my $title = $status == 504 ? 'Gateway Timeout' : 'Bad Gateway';

    return qr/\A\{"type":"about:blank","title":"\Q$title\E","status":$status,
              "detail":"[^"]+","instance":"[0-9a-f]{32}",
              "parts":\[\Q@{[ join ',', map {
                  qq({"name":"$_->[0]",)
                  . (defined $_->[1] ? qq("status":$_->[1],) : '')
                  . qq("reason":"$_->[2]"}) } @parts ]}\E\]\}\n\z/x;
}

my $STATUS = 'its status is not one of success';
my %complete = ('gateway-aggregate' => 'complete');

case($_, '', "part a /_b/$_; part b /_b/good;", 200,
     qq({"a":$text,"b":{"id":1}}), %complete)
    for qw( bytes chunks chunk_bytes chunks_late bytes_close spaces );

case($_, '', "part a /_b/$_; part b /_b/good; part c /_b/$_;", 200,
     qq({"a":$large,"b":{"id":1},"c":$large}), %complete)
    for qw( large large_chunks large_close large_slow );

case("buffered_$_", '', "part a /_buffered/$_; part b /_b/$_;", 200,
     qq({"a":$large,"b":$large}), %complete)
    for qw( large large_chunks large_close large_slow );

case('deep', '', 'part a /_b/deep;', 200,
     '{"a":' . '[' x 64 . ']' x 64 . '}', %complete);
case('odd', '', 'part a /_b/null; part b /_b/number; part c /_b/surrogate;'
                . 'part d /_b/text; part e /_b/no_type; part f /_b/identity;'
                . 'part g /_b/201;', 200,
     '{"a":null,"b":12.50,"c":"\\ud800","d":{"t":1},"e":{"t":1},'
     . '"f":{"t":1},"g":{"t":1}}', %complete);
case('many', '', join(' ', map { "part p$_ /_b/late?$_;" } 1 .. 64), 200,
     '{' . join(',', map { qq("p$_":{"id":2}) } 1 .. 64) . '}', %complete);

# several that fail: the first written decides

case('several', '', 'part a /_b/late; part b /_b/500; part c /_b/hang '
                    . 'timeout=50ms; part d /_b/404 optional;', 502,
     problem(502, [ b => 500, $STATUS ], [ c => 504, 'it timed out' ],
             [ d => 404, $STATUS ]));
case('several_timeout', '', 'part a /_b/500 optional; part b /_b/hang '
                            . 'timeout=50ms; part c /_b/500;', 504,
     problem(504, [ a => 500, $STATUS ], [ b => 504, 'it timed out' ],
             [ c => 500, $STATUS ]));
case('depends', '', 'part a /_b/500; part b /_b/good?<a/id>; '
                    . 'part c /_b/good?<b/id> optional;', 502,
     problem(502, [ a => 500, $STATUS ],
             [ b => undef, 'the part a that it needs has failed' ],
             [ c => undef, 'the part b that it needs has failed' ]));
case('depends_default', '', q{part a /_b/500 'default={"id":3}'; }
                            . 'part b /_b/good?<a/id>;', 200,
     '{"a":{"id":3},"b":{"id":1}}',
     'gateway-aggregate' => 'partial; missing="a"');
case('depends_optional', '', 'part a /_b/500 optional; '
                             . 'part b /_b/good?<a/id> optional; '
                             . 'part c /_b/good;', 200, '{"c":{"id":1}}',
     'gateway-aggregate' => 'partial; missing="a,b"');

# sizes

my $x1000 = $answers{'/1000'} =~ s/.*\r\n\r\n//sr;

case('fits', 'gateway_aggregate_max_part_size 1000;', 'part a /_b/1000;', 200,
     qq({"a":$x1000}), %complete);
case("over_$_", 'gateway_aggregate_max_part_size 1000;',
     "part a /_b/$_; part b /_b/good;", 502,
     problem(502, [ a => 200, 'the answer is too large' ]))
    for qw( 1001 1001_chunks );
case('whole_fits', 'gateway_aggregate_max_size 2000;',
     'part a /_b/1000; part b /_b/1000;', 200, qq({"a":$x1000,"b":$x1000}),
     %complete);
case('whole_over', 'gateway_aggregate_max_size 1999;',
     'part a /_b/1000; part b /_b/1000;', 502,
     qr/"parts":\[\{"name":"[ab]","status":200,"reason":"the[ ]
        (?:whole[ ])?answer[ ]is[ ]too[ ]large"\}\]\}\n\z/x);
case('whole_each', 'gateway_aggregate_max_size 2500;',
     'part ids /_ids; part b /_b/1000?<item> each=ids;', 502,
     qr/"parts":\[\{"name":"b","status":200,"reason":"the[ ]
        (?:whole[ ])?answer[ ]is[ ]too[ ]large"\}\]\}\n\z/x);

# errors=pass

case('pass_401', '', 'part a /_b/401 errors=pass; part b /_b/good;', 401,
     '{"e":1}', 'www-authenticate' => 'Bearer realm="x"',
     'content-type' => 'application/json', 'set-cookie' => undef,
     'gateway-aggregate' => undef);
case('pass_429', '', 'part a /_b/good; part b /_b/429 errors=pass;', 429,
     'slow down', 'retry-after' => 7, 'content-type' => 'text/plain',
     'content-length' => 9);
case('pass_404', '', 'part a /_b/404 errors=pass;', 404, '',
     'content-length' => 0);
case('pass_409', '', 'part a /_b/409_chunks errors=pass;', 409, 'abc',
     'content-type' => 'text/html');
case('pass_500', '', 'part a /_b/500 errors=pass;', 502,
     problem(502, [ a => 500, $STATUS ]));
case('pass_later', '', 'part a /_b/500; part b /_b/401 errors=pass;', 502,
     problem(502, [ a => 500, $STATUS ], [ b => 401, $STATUS ]));
case('pass_return', '', 'part a /_403 errors=pass;', 403, qr/403 Forbidden/,
     'content-type' => 'text/html');

# error_page, of the aggregate and of a part

case('page', 'error_page 502 504 = /_page;', 'part a /_b/500;', 200, 'page');
case('page_504', 'error_page 502 504 /_page;',
     'part a /_b/hang timeout=30ms;', 504, 'page');
case('fallback', '', 'part a /_fallback/500; part b /_fallback/good;', 200,
     '{"a":{"fallback":true},"b":{"id":1}}', %complete);
case('fallback_named', '', 'part a /_named/reset;', 200,
     '{"a":{"id":1}}', %complete);
case('fallback_loop', '', 'part a /_loop optional;', 200, '{}');

# upstreams, caches, files

case('two_servers', '', join(' ', map { "part p$_ /_two/good;" } 1 .. 8), 200,
     '{' . join(',', map { qq("p$_":{"id":1}) } 1 .. 8) . '}', %complete);
case('next_server', '', 'part a /_next/good; part b /_next/good;', 200,
     '{"a":{"id":1},"b":{"id":1}}', %complete);
case('accel', '', 'part a /_b/redirect; part b /_b/good;', 200,
     '{"a":{"static":1},"b":{"id":1}}', %complete);
case('cached', '', 'part a /_cached/large; part b /_cached/good;', 200,
     qq({"a":$large,"b":{"id":1}}), %complete);
case('cached_pass', '', 'part a /_cached/404 errors=pass;', 404, '');
case('static', '', 'part a /_static/a.json; part b /_static/large.json;', 200,
     qq({"a":{"static":1},"b":$large}), %complete);
case('static_chunks', 'output_buffers 1 1k; sendfile off;',
     'part a /_small/large.json;', 200, qq({"a":$large}), %complete);
case('static_none', '', 'part a /_static/none.json optional;', 200, '{}');

# nested

case('nested', '', 'part a /_inner; part b /_b/good;', 200,
     qq({"a":{"x":{"id":1},"y":$large},"b":{"id":1}}), %complete);
case('nested_failed', '', 'part a /_inner_failed; part b /_b/good;', 502,
     problem(502, [ a => 502, 'no server gave a valid answer' ]));

# filters, and what comes before

case('postponed', 'postpone_output 1460;', 'part a /_b/good;', 200,
     '{"a":{"id":1}}', %complete);
case('unpostponed', 'postpone_output 0;', 'part a /_b/good;', 200,
     '{"a":{"id":1}}', %complete);
case('substituted', 'sub_filter id ID; sub_filter_types *; '
                    . 'sub_filter_once off;', 'part a /_b/good;', 200,
     '{"a":{"ID":1}}', %complete);
case('header', 'add_header X-A $gateway_aggregate_status always;',
     'part a /_b/good;', 200, '{"a":{"id":1}}', 'x-a' => 'complete');
case('header_failed', 'add_header X-A $gateway_aggregate_status always;',
     'part a /_b/500;', 502, qr/"parts"/, 'x-a' => 'failed');
case('denied', 'deny all;', 'part a /_b/unasked;', 403, qr/403 Forbidden/);
case('satisfied', 'satisfy any; deny all; auth_request /_b/good;',
     'part a /_b/good;', 200, '{"a":{"id":1}}', %complete);
case('unauthorized', 'auth_request /_b/401;', 'part a /_b/unasked;', 401,
     qr/401/);

my $nginx = NgxGatewayNginx->new(
    http => <<"_EOC_",
    proxy_cache_path %DIR%/cache keys_zone=cache:1m;

    upstream two {
        server 127.0.0.1:1;
        server 127.0.0.1:$port;
    }

    upstream next {
        server 127.0.0.1:$port;
        server 127.0.0.1:1 backup;
    }
_EOC_
    server => <<"_EOC_",
$locations
        location = /gzip {
            gzip on;
            gzip_types application/json;
            gzip_min_length 1;
            gateway_aggregate {
                part a /_b/large;
            }
        }

        location = /rate {
            limit_rate 600k;
            gateway_aggregate {
                part a /_b/large;
            }
        }

        location = /page.html {
            ssi on;
            ssi_types *;
            alias %DIR%/page.html;
        }

        location = /swr {
            gateway_aggregate {
                part a /_stale/stale;
                part b /_b/good;
            }
        }

        location = /_ids {
            return 200 '[1,2,3,4]';
        }

        location = /_page {
            internal;
            return 200 "page";
        }

        location = /_403 {
            return 403;
        }

        location = /_loop {
            internal;
            rewrite ^ /_loop last;
        }

        location = /_inner {
            internal;
            gateway_aggregate {
                part x /_b/good;
                part y /_b/large;
            }
        }

        location = /_inner_failed {
            internal;
            gateway_aggregate {
                part x /_b/good;
                part y /_b/500;
            }
        }

        location /_fallback/ {
            internal;
            proxy_intercept_errors on;
            error_page 500 = /_fallback.json;
            proxy_pass http://127.0.0.1:$port/;
        }

        location = /_fallback.json {
            internal;
            return 200 '{"fallback":true}';
        }

        location /_named/ {
            internal;
            error_page 502 = \@other;
            proxy_pass http://127.0.0.1:$port/;
        }

        location \@other {
            rewrite ^ /good break;
            proxy_pass http://127.0.0.1:$port;
        }

        location /_two/ {
            internal;
            proxy_pass http://two/;
        }

        location /_next/ {
            internal;
            proxy_pass http://next/;
        }

        location /_cached/ {
            internal;
            proxy_cache cache;
            proxy_cache_valid any 1m;
            proxy_pass http://127.0.0.1:$port/;
        }

        location /_stale/ {
            internal;
            proxy_cache cache;
            proxy_cache_valid 200 1s;
            proxy_cache_use_stale updating;
            proxy_cache_background_update on;
            proxy_pass http://127.0.0.1:$port/;
        }

        location /_static/ {
            internal;
            alias %DIR%/;
        }

        location /_small/ {
            internal;
            sendfile off;
            output_buffers 2 1k;
            alias %DIR%/;
        }

        location /_buffered/ {
            internal;
            proxy_buffering on;
            proxy_buffers 4 4k;
            proxy_cache cache;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_pass http://127.0.0.1:$port/;
        }

        location /_b/ {
            internal;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_pass http://127.0.0.1:$port/;
        }
_EOC_
);

$nginx->write_file('a.json', '{"static":1}');
$nginx->write_file('large.json', $large);
$nginx->write_file('page.html', '<!--# include virtual="/bytes" --> '
                                . '<!--# include virtual="/several" -->');
$nginx->start();

for my $round (1, 2) {
    for my $case (@cases) {
        my ($name, $status, $body, $headers) = @$case;

        my $client = E2EClient->new($nginx->port());
        my $answer = eval { $client->ask('GET', "/$name") }
                     // { status => "- $@", body => '' };

        is($answer->{status}, $status, "$name: status ($round)");

        if (ref $body) {
            like($answer->{body}, $body, "$name: body ($round)");

        } else {
            ok($answer->{body} eq $body, "$name: body ($round)")
                or diag(substr($answer->{body}, 0, 300));
        }

        is($answer->{headers}{$_}, $headers->{$_}, "$name: $_ ($round)")
            for sort keys %$headers;
    }
}

is(scalar $backend->seen('/unasked'), 0, 'parts of a request that is denied');

# HEAD of what errors=pass answers

{
    my $client = E2EClient->new($nginx->port());
    my $answer = $client->ask('HEAD', '/pass_429');

    is("$answer->{status} $answer->{headers}{'retry-after'} "
       . "$answer->{headers}{'content-length'}", '429 7 9', 'HEAD: pass');
    is($client->ask('GET', '/odd')->{status}, 200, 'HEAD: the next request');
}

# gzip

{
    my $answer = $nginx->request('GET /gzip', 'Accept-Encoding: gzip');

    require IO::Uncompress::Gunzip;

    my $plain = $answer->{body};

    is($answer->{headers}{'content-encoding'}, 'gzip', 'gzip: compressed');

    $plain =~ s/\A[0-9a-f]+\r\n//;
    like($plain, qr/\A\x1f\x8b/, 'gzip: the answer');
    is($nginx->get('/gzip')->{body}, qq({"a":$large}), 'gzip: none asked for');
}

# limit_rate

{
    my $start = time;
    my $answer = $nginx->get('/rate') // { body => '' };

    ok($answer->{body} eq qq({"a":$large}), 'limit_rate: the answer');
    cmp_ok(time - $start, '<', 3, 'limit_rate: it ends');
}

# SSI

like($nginx->get('/page.html')->{body},
     qr/\{"a":\Q$text\E,"b":\{"id":1\}\}.*\ .*"parts":\[\{"name":"b"/xs,
     'an aggregate that is included');

# stale-while-revalidate

{
    my $want = '{"a":{"new":1},"b":{"id":1}}';

    is($nginx->get('/swr')->{body}, $want, 'stale: filled');

    my ($client, $body, $took, $tries);

    # what a machine that pauses has not in time is stale once more

    attempts(sub {
        $tries = $_[0];
        sleep 2.1;
        $client = E2EClient->new($nginx->port());

        my $start = time;

        $body = $client->ask('GET', '/swr')->{body};
        $took = time - $start;

        return $took < 0.25;
    });

    is($body, $want, 'stale: used');
    cmp_ok($took, '<', 0.25, 'stale: at once');
    is($client->ask('GET', '/odd')->{status}, 200, 'stale: the next request');
    wait_for(5, sub { $backend->seen('/stale') > $tries });
    is(scalar $backend->seen('/stale'), 1 + $tries, 'stale: asked again');
}

unlike($nginx->error_log(), qr/\[(?:alert|crit|emerg)\]|runtime error/,
       'nothing wrong in the log');

done_testing();
