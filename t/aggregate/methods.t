
# Which methods are answered, HEAD, and the header fields of an answer.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayAggregate;
use Test::Nginx::Socket 'no_plan';

our $NotAllowed = qr/\A\{"type":"about:blank","title":"Method Not Allowed","status":405,"detail":"the method is not one of those allowed here","instance":"[0-9a-f]{32}"\}\n\z/;

sub refused {
    my ($request, $allow, @more) = @_;

    return [ $request, $NotAllowed, request => $request, code => 405,
             response => { 'Allow' => $allow,
                           'Content-Type' => 'application/problem+json' },
             @more ];
}

run_blocks();

__DATA__

=== TEST 1: GET and HEAD by default
--- parts
part a /up/ select=/method;
--- requests eval
[
    [ 'GET' => '{"a":"GET"}' ],
    [ 'HEAD' => '{"a":"GET"}', request => 'HEAD /t' ],
    (map { main::refused("$_ /t", 'GET, HEAD') }
         'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'FOO'),
    main::refused("POST /t\nx", 'GET, HEAD'),
]



=== TEST 2: gateway_aggregate_methods, inherited
--- http_config
gateway_aggregate_methods DELETE;
--- server
gateway_aggregate_methods POST GET;
--- locations eval
[
    t => 'part a /up/ select=/method;',
    all => [ 'part a /up/ select=/method;',
             'gateway_aggregate_methods OPTIONS PATCH DELETE PUT POST HEAD GET;' ],
    head => [ 'part a /up/ select=/method;', 'gateway_aggregate_methods HEAD;' ],
    put => [ 'part a /up/ select=/method;', 'gateway_aggregate_methods PUT;' ],
]
--- requests eval
my $all = sub {
    my ($request) = @_;
    [ $request => '{"a":"GET"}', request => $request ];
};
[
    (map { $all->($_) } 'GET /t', 'HEAD /t', "POST /t\nbody", 'GET /all',
                        'HEAD /all', "POST /all\nx", "PUT /all\nx",
                        'DELETE /all', "PATCH /all\nx", 'OPTIONS /all',
                        'HEAD /head', "PUT /put\nx"),
    main::refused('DELETE /t', 'GET, HEAD, POST'),
    main::refused('FOO /all', 'GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS'),
    main::refused('GET /head', 'HEAD'),
    main::refused('GET /put', 'PUT'),
    main::refused("POST /put\nx", 'PUT'),
]



=== TEST 3: of a parent level
--- http_config
gateway_aggregate_methods DELETE;
--- parts
part a /up/ select=/method;
--- requests eval
[
    [ 'DELETE' => '{"a":"GET"}', request => 'DELETE /t' ],
    main::refused('GET /t', 'DELETE'),
]



=== TEST 4: a method that is not allowed asks nobody
--- parts
part a /seen/;
--- server
location /seen/ { return 200 1; }
--- requests eval
[ main::refused("POST /t\nx", 'GET, HEAD') ]
--- no_error_log
seen



=== TEST 5: an error_page for 405 has its way
--- lines
error_page 405 /error;
--- server
location = /error { return 405 "mine\n"; }
--- parts
part a /up/ select=/method;
--- requests eval
[ [ 'POST' => "mine\n", request => "POST /t\nx", code => 405 ] ]



=== TEST 6: HEAD in HTTP/1.0 and with a body of the request
--- parts
part a /up/ select=/method;
part b /up/form/length?size=100000;
--- requests eval
[ [ 'all but the body' => '{"a":"GET","b":{"form":"length","more":"'
    . 'x' x 100_000 . '"}}', request => "HEAD /t\nbody" ] ]



=== TEST 7: several requests on one connection, with and without bodies
--- lines
gateway_aggregate_methods GET POST;
--- parts
part a /up/ only=method,length;
part b /up/ method=POST body=request only=length;
--- pipelined_requests eval
[ "POST /t\nabc", 'GET /t', "POST /t\n" . 'x' x 30_000, 'GET /t' ]
--- response_body eval
my @n = (3, 0, 30_000, 0);
[ map { "{\"a\":{\"method\":\"GET\",\"length\":0},\"b\":{\"length\":$_}}" } @n ]



=== TEST 8: filters of the whole
--- lines
gzip on;
gzip_types application/json;
gzip_min_length 1;
sub_filter_types application/json;
sub_filter '"GET"' '"got"';
sub_filter_once off;
--- parts
part a /up/ select=/method;
--- server
location /sub/ { proxy_pass http://backend; sub_filter_types *; sub_filter GET x; gzip on; gzip_types *; gzip_min_length 1; }
--- locations eval
[ sub => 'part a /sub/ select=/method;' ]
--- requests eval
[
    [ 'sub_filter' => '{"a":"got"}', response => { 'Content-Length' => undef } ],
    [ 'gzip' => sub { substr($_[0], 0, 2) eq "\x1f\x8b" },
      send => 'Accept-Encoding: gzip',
      response => { 'Content-Encoding' => 'gzip' } ],
    [ 'not those of a part' => '{"a":"GET"}', at => 'sub',
      send => 'Accept-Encoding: gzip' ],
]
