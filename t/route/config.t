
# What "nginx -t" says to routes that can not work: what it is, the value, and
# what would be allowed; and what it warns of.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayNginx;

use Test::More;

my $nginx = NgxGatewayNginx->new();

# What "nginx -t" says to a configuration.

sub says {
    my ($http, $server) = @_;

    $nginx->{http} = $http;
    $nginx->{server} = $server // '';

    return join '', grep { /\[(?:emerg|alert|crit|error|warn)\]/ }
                    split /(?<=\n)/, $nginx->test();
}

sub routes {
    my ($lines) = @_;

    return "gateway_routes \$to {\n$lines\n}\n";
}

sub refused {
    my ($name, $http, $server, @patterns) = @_;

    my $said = says($http, $server);
    my @lines = split /\n/, $said;

    is(scalar @lines, 1, "$name: one message") or diag($said);
    like($said, qr/^nginx: \[emerg\] /, "$name: refused");
    like($said, $_, $name) for @patterns;

    return;
}

# the lines of a block, which are refused

sub lines {
    my ($lines, @patterns) = @_;

    return refused($lines, routes($lines), '', @patterns);
}

sub invalid {
    my ($what, $value, $why) = @_;

    return (qr/invalid $what "\Q$value\E" in "gateway_routes", /,
            ref $why ? $why : qr/", \Q$why\E in \S+nginx\.conf:\d+$/);
}

# without a message

sub taken {
    my ($lines) = @_;

    is(says(routes($lines)), '', "$lines is taken");

    return;
}

# lines, and parts of lines

my $LINE = 'it must be "METHODS TEMPLATE VALUE ..." or "default VALUE"';

lines('GET;', invalid('line', 'GET', $LINE));
lines('GET /users;', invalid('line', 'GET', $LINE));
lines('GET /users if=$arg_x;',
      invalid('line', '/users', 'it must have a value'));
lines("$_;", invalid('line', 'default', 'it must be "default VALUE"'))
    for 'default', 'default a b', 'default /a b', 'default a if=$arg_x';
lines('default "";', invalid('value', '', 'it must not be empty'));
lines("default a;\nGET / b;\ndefault c;",
      qr/duplicate\ "default"\ in\ \S+nginx\.conf:\d+,
         \ the\ first\ one\ is\ in\ \S+nginx\.conf:\d+$/x);
lines('', qr/"gateway_routes" of "\$to" has no lines, it must have at least/);
lines('include none.conf;', qr/none\.conf" failed/);

$nginx->write_file('empty.conf', "# none\n");
lines('include empty.conf;', qr/"gateway_routes" of "\$to" has no lines/);

taken('default a;');
taken('GET / a;');

# methods

for my $methods ('""', 'GET,', ',GET', 'GET,,POST', 'GET,POST,GET', 'CONNECT',
                 'GET,CONNECT', 'G(ET)', '"GET, POST"', "G\xc3\x89T", '/GET',
                 'GET,*', '*,GET', '*GET,*')
{
    lines("$methods /users a;",
          invalid('methods', $methods =~ s/"//gr,
                  'it must be "*" or a list "METHOD,METHOD,..." of different'
                  . ' methods other than CONNECT'));
}

my @methods = map { "$_ /$_ a;\n" } ('MA' .. 'MZ', 'NA' .. 'NZ', 'OA' .. 'OM');

lines(join('', @methods),
      qr{too many methods with route "OM /OM" in \S+nginx\.conf:\d+, },
      qr/routes of one block may have 64, and HEAD is one where GET is$/);
lines(join('', @methods[0 .. 62]) . "GET / b;\n",
      qr{too many methods with route "GET /" in \S+nginx\.conf:\d+, });
taken(join '', @methods[0 .. 63]);
taken('GET,M-SEARCH,X_Y / a;');

# nginx refuses requests with these: what it never matches is a warning

for my $case ([ 'get', 'get' ], [ 'GET,Post', 'Post' ], [ 'GET1', 'GET1' ],
              [ 'connect', 'connect' ],
              [ 'GET,!#$%&\'*+-.^_`|~09az', '!#$%&\'*+-.^_`|~09az' ])
{
    my ($methods, $method) = @$case;

    like(says(routes("$methods / a;")),
         qr/\A\S+\ \[warn\]\ method\ "\Q$method\E"\ in\ "gateway_routes"
            \ never\ matches:\ nginx\ takes\ methods\ of\ capital\ letters,
            \ "_"\ and\ "-"\ only\ in\ \S+nginx\.conf:\d+\n\z/x,
         "$methods: never matches");
}

# templates

for my $case (
    [ 'it must begin with "/"', 'users', '""', 'http://a/', ':id' ],
    [ 'only its last segment may be empty', '/a//b', '//', '/a//', '//a' ],
    [ '"." and ".." are resolved before paths are compared',
      '/./a', '/a/./b', '/a/..', '/a/.' ],
    [ '"?" and "#" are not part of a path', '/a?b=c', '/a/b#c', '/?' ],
    [ 'a name of letters, digits and "_" must follow ":"',
      '/:', '/:([0-9]+)', '/:-x', "/:\xc3\xa9" ],
    [ 'only "(regex)" or the segment\'s end may follow ":name"',
      '/:id.json', '/:a:b', '/:id*', '/:id-x' ],
    [ 'only the segment\'s end may follow ":name(regex)"',
      '/:id([0-9]+)\.json', '/:id(a)(b)', '/:id(a)*' ],
    [ '"(" must have its ")"', '/:id([0-9]+', '/:id([0-9)', '/:id((a)',
      '/:id(\)' ],
    [ 'the regex must not be empty', '/:id()', '/:id()/a' ],
    [ '"*" or a name of letters, digits and "_" must follow "*"',
      '/a/*', '/a/*.json', '/*/a' ],
    [ 'nothing may follow "**" or "*name"',
      '/a/**/b', '/a/*rest/b', '/a/**/', '/a/***', '/a/*x.json', '/**x' ],
    [ 'a name must not be used twice',
      '/:id/:id', '/:id/*ID', '/:id/a/:Id([0-9]+)' ],
    [ 'a name must not begin with "escaped_"',
      '/:escaped_id', '/*escaped_', '/:Escaped_id' ],
    [ 'it may have no more than 64 segments', '/x' x 65, '/x' x 64 . '/' ])
{
    my ($why, @templates) = @$case;

    for my $template (@templates) {
        lines("GET $template a;",
              invalid('template', $template =~ s/"//gr, $why));
    }
}

taken('GET ' . '/x' x 64 . ' a;');

# a brace ends a word, and quotes are what it needs

lines('GET /:id([0-9]{2}) a;', qr/./);
taken('GET "/:id([0-9]{2})" a;');

for my $regex ('+', 'a**', '(?<a', 'a)(b') {
    my $template = "/:id($regex)";
    my $said = says(routes("GET /a a;\nGET \"$template\" b;"));

    like($said, qr/^nginx: \[emerg\] [^\n]*\n\z/, "$template: one message");
    like($said, $regex =~ /^a\)|</
         ? qr/invalid (?:template|regex in route) /
         : qr/invalid\ regex\ in\ route\ "GET\ \Q$template\E"\ in
              \ \S+nginx\.conf:\d+:\ \S+/x, "$template: why");
}

# conditions

my $HOST = 'it must be a name, or "*." and a name, without a port';

for my $case (
    [ 'it must have a variable', 'if=1', 'if=' ],
    [ $HOST, 'host=', 'host=example.com:80', 'host=*', 'host=*.',
      'host=a.*.com', 'host=example.*', 'host=*.*.com', 'host=*a.com',
      'host=.example.com', 'host=example.com.', 'host=~^a', '"host=a b"',
      'host=$arg_x', 'host=a/b' ],
    [ 'it must be "header=NAME:VALUE" without variables', 'header=X-A',
      'header=X-A:', 'header=:1', 'header=', '"header=X A:1"',
      'header=X(A):1', 'header=X-A:$arg_b', 'header=$arg_b:1' ],
    [ 'it must be "query=NAME:VALUE" without variables', 'query=a',
      'query=a:', 'query=:1', 'query=', 'query=a:$arg_b' ])
{
    my ($why, @parameters) = @$case;

    for my $parameter (@parameters) {
        lines("GET /users a $parameter;",
              invalid('parameter', $parameter =~ s/"//gr, $why));
    }
}

lines('GET / a host=a host=b;',
      invalid('parameter', 'host=b', 'a line may have one host'));
lines('GET / a query=a:1 header=X-A:1 query=a:1;',
      invalid('parameter', 'query=a:1', 'it is given twice'));
lines('GET / a header=X-A:1 header=x-a:1;',
      invalid('parameter', 'header=x-a:1', 'it is given twice'));
lines('GET / a if=$arg_x if=$arg_x;',
      invalid('parameter', 'if=$arg_x', 'it is given twice'));

# values

for my $case ([ 'a b', 'b' ], [ 'a=1 b', 'b' ], [ 'a=1 b=x', 'b=x' ],
              [ 'a IF=$arg_x', 'a' ], [ 'a hosts=a.com', 'hosts=a.com' ],
              [ 'a=-1 b=1', 'a=-1' ], [ 'a=0.5 b=1', 'a=0.5' ],
              [ 'a= b=1', 'a=' ], [ 'a=1 b=1000001', 'b=1000001' ],
              [ 'a=10% b=90%', 'b=90%' ],
              [ 'a=1 b=99999999999999999999', 'b=99999999999999999999' ])
{
    my ($values, $value) = @$case;

    lines("GET /users $values;",
          invalid('value', $value, 'several values must be "VALUE=WEIGHT" each'
                  . ', with a number from 0 to 1000000, a variable, or "*" for'
                  . ' the rest of 100; what is no value begins with "if=",'
                  . ' "host=", "header=", "query=" or "sticky="'));
}

lines('GET /users a=0 b=0;',
      invalid('line', '/users', 'a weight must be greater than 0'));
lines('GET /users a=* b=1 c=*;',
      invalid('line', '/users', 'one value may have the rest of 100'));
lines('GET / a=** b=1;', qr/invalid value "a=\*\*" in "gateway_routes"/);
lines('GET / a=1 b=2 a=3;', invalid('value', 'a=3', 'it is given twice'));
lines('GET / a=1 =2;', invalid('value', '=2', 'it must not be empty'));
lines('GET / "";', invalid('value', '', 'it must not be empty'));
lines('GET / ' . join(' ', map { "v$_=1" } 1 .. 33) . ';',
      invalid('value', 'v33=1', 'a line may have 32'));
lines('GET / a=1 b=1 sticky=1;',
      invalid('parameter', 'sticky=1', 'it must have a variable'));
lines('GET / a=1 b=1 sticky=$arg_a sticky=$arg_b;',
      invalid('parameter', 'sticky=$arg_b', 'a line may have one key'));
lines('GET /users a sticky=$arg_a;',
      invalid('line', '/users', '"sticky" is for several values'));

taken('GET / ' . join(' ', map { "v$_=1" } 1 .. 32) . ';');
taken('GET / a=$arg_a b=0 sticky=$arg_c;');
taken('GET / a=$arg_a b=* sticky=$arg_c;');
taken('GET / a=100 b=*; GET /a a=0 b=*; GET /b a=*;');

for my $line ('GET / $none;', 'GET / a=$none b=1;', 'GET / a if=$none;',
              'GET / a=1 b=1 sticky=$none;', 'default $none;')
{
    lines($line, qr/unknown "none" variable/);
}

# one line twice

sub twice {
    my ($one, $two) = @_;

    my ($route) = $two =~ /^(\S+ \S+)/;

    return lines("$one\n$two", qr/duplicate route "\Q$route\E" in /,
                 qr/ in \S+nginx\.conf:(\d+), the first one is in /,
                 qr/the first one is in \S+nginx\.conf:\d+$/);
}

twice('GET /users a;', 'GET /users b;');
twice('GET /users/:id a;', 'GET /users/:user b;');
twice('GET,POST /a a;', 'PUT,POST /a b;');
twice('* /a a;', '* /a b;');
twice('GET /a a if=$arg_x header=X-A:1;', 'GET /a b header=x-a:1 if=$arg_x;');
twice('GET /a a host=Example.com;', 'GET /a b host=example.COM;');
twice('GET /:a([0-9]+) a;', 'GET /:b([0-9]+) b;');
twice('GET /a/** a;', 'GET /a/*rest b;');
twice('HEAD /a a;', 'GET,HEAD /a b;');
twice("GET /a a;\n* /b b;\nGET /c c;", 'POST,GET /a d;');

$nginx->write_file('one.conf', "GET /a a;\nGET /users/:id b;\n");
$nginx->write_file('two.conf', "# no line\n\nGET /b c;\nGET /users/:no d;\n");
lines('include one.conf; include t*.conf;',
      qr{duplicate route "GET /users/:no" in \S+/two\.conf:4, },
      qr{the first one is in \S+/one\.conf:2$});

# what looks alike

taken(<<'_EOC_');
GET   /a          a;
POST  /a          b;
GET   /a          c  host=b.example.com if=$arg_x;
GET   /a          d  if=$arg_x;
GET   /a          e  if=$arg_y;
GET   /a          f  host=a.example.com;
GET   /a          g  host=*.example.com;
GET   /a          h  header=X-A:1;
GET   /a          i  header=X-A:2;
GET   /a          j  query=a:1;
GET   /a          k  query=A:1;
PUT   /a          l;
GET   /A          m;
GET   /a/         n;
GET   /:x([0-9])  o;
GET   /:x([0-8])  p;
GET   /:x         q;
GET   /*x         r;
HEAD  /a          s;
HEAD  /a          t  if=$arg_x;
*     /a          u;
_EOC_

# what never matches

sub never {
    my ($lines, $route, $other) = @_;

    my $said = says(routes($lines));
    my $all = $other =~ / and others$/ ? 'take' : 'takes';

    $other =~ s/ and others$/X/;

    my $others = $other =~ s/X$// ? ' and others' : '';

    like($said, qr/\Anginx:\ \[warn\]\ route\ "\Q$route\E"\ in
                   \ \S+nginx\.conf:\d+\ never\ matches,\ "\Q$other\E"\ in
                   \ \S+nginx\.conf:\d+\Q$others\E\ $all\ all\ of\ its\ requests
                   \n\z/x, "$lines: never matches");

    return;
}

never('* /a a; GET /a b;', 'GET /a', '* /a');
never('* /a a; HEAD /a b;', 'HEAD /a', '* /a');
never('* /d/:id a; DELETE /d/:no b;', 'DELETE /d/:no', '* /d/:id');
never('GET /b a if=$arg_x; GET /b b if=$arg_y if=$arg_x;', 'GET /b', 'GET /b');
never('POST,PUT /c a if=$arg_x; POST /c b if=$arg_x header=X-A:1;', 'POST /c',
      'POST,PUT /c');
never('GET /e a host=*.example.com; GET /e b host=*.eu.example.com;', 'GET /e',
      'GET /e');
never('GET /e a host=*.example.com; GET /e b host=www.example.com;', 'GET /e',
      'GET /e');
never('GET /f a; POST /f b; GET,POST /f/ c; GET,POST /f d if=$arg_x;'
      . 'GET /f e if=$arg_x host=example.com;', 'GET /f', 'GET,POST /f');
never('GET /g a host=a; PUT /g b host=a; GET,PUT /g c host=a if=$arg_x;',
      'GET,PUT /g', 'PUT /g and others');

for my $line ('* /** a;', '* /*rest a;') {
    my ($route) = $line =~ /^(\S+ \S+)/;

    like(says(routes("GET /a a;\n$line\ndefault b;")),
         qr/\A\S+\ \[warn\]\ "default"\ in\ \S+nginx\.conf:\d+
            \ never\ matches,\ "\Q$route\E"\ in\ \S+nginx\.conf:\d+
            \ takes\ all\ of\ its\ requests\n\z/x, "$line and default");
}

taken("default b;\n$_")
    for '* /a/** a;', 'GET /** a;', '* /** a if=$arg_x;', '* /** a host=a;',
        '* /:x a;', '* / a;';
taken('GET,POST /a a; PUT /a b; GET,PUT /a c if=$arg_x;');
taken('GET /e a host=*.example.com; GET /e b host=example.com;');
taken('GET /a/:x([a-z]+) a; GET /a/b b; GET /a/:y c;');

# escapes

like(says(routes('GET /a%20b a;')),
     qr{\A\S+\ \[warn\]\ template\ "/a%20b"\ in\ "gateway_routes"\ has\ an
        \ escape,\ which\ never\ matches:\ paths\ are\ compared\ when\ they
        \ are\ decoded\ in\ \S+nginx\.conf:\d+\n\z}x, 'an escape');
taken('GET /a%2 a; GET /100% b; GET /%zz c; GET /:x(%41) d;');

# wildcards that are none

like(says(routes("GET $_ a;")),
     qr{\A\S+\ \[warn\]\ template\ "\Q$_\E"\ in\ "gateway_routes"\ has\ a
        \ "\*"\ that\ only\ matches\ itself:\ it\ is\ more\ where\ a\ segment
        \ begins\ with\ it,\ as\ in\ "/\*\*"\ in\ \S+nginx\.conf:\d+\n\z}x,
     "$_: no wildcard") for '/api**', '/a/x*.js/b', '/a*';
taken('GET /:x(.*[.]js) a; GET "/b/:x([*])" b; GET /c/:x(\*) c;');

# gateway_routes itself

my $ARGUMENTS = qr/invalid number of arguments in "gateway_routes" directive/;

for my $case (
    [ 'gateway_routes to { GET / a; }',
      qr/invalid variable "to" in "gateway_routes", it must be "\$NAME"/ ],
    [ 'gateway_routes $ { GET / a; }',
      qr/invalid variable "\$" in "gateway_routes", it must be "\$NAME"/ ],
    [ 'gateway_routes $1 { GET / a; }',
      qr/invalid variable "\$1" in "gateway_routes", its name must have/,
      qr/ letters, digits and "_", and must not begin with a digit in / ],
    [ 'gateway_routes $to-x { GET / a; }',
      qr/invalid variable "\$to-x" in "gateway_routes", its name must have/ ],
    [ 'gateway_routes $Gateway_path_id { GET / a; }',
      qr/its name must not begin with "gateway_" in / ],
    [ 'gateway_routes { GET / a; }', $ARGUMENTS ],
    [ 'gateway_routes $a $b { GET / a; }', $ARGUMENTS ],
    [ 'gateway_routes $a;', qr/"gateway_routes" has no opening "\{"/ ],
    [ 'gateway_routes $to { GET / a; } gateway_routes $TO { GET / a; }',
      qr/invalid variable "\$TO" in "gateway_routes", another /,
      qr/another "gateway_routes" defines it, too in / ],
    [ 'gateway_routes $to { GET / a; } map $uri $To { default b; }',
      qr/invalid variable "\$to" in "gateway_routes", another directive /,
      qr/another directive defines it, too in \S+nginx\.conf:\d+$/ ],
    [ 'split_clients $uri $To { * b; } gateway_routes $to { GET / a; }',
      qr/invalid variable "\$to" in "gateway_routes", another directive /,
      qr/another directive defines it, too in \S+nginx\.conf:\d+$/ ],
    [ 'map $uri $gateway_path_id { default b; }'
      . ' gateway_routes $to { GET /:Id a; }',
      qr/invalid variable "\$gateway_path_Id" in "gateway_routes", /,
      qr/another directive defines it, too in \S+nginx\.conf:\d+$/ ],
    [ 'gateway_routes $args { GET / a; }',
      qr/invalid variable "\$args" in "gateway_routes", another directive / ],
    [ 'gateway_routes $request_method { GET / a; }',
      qr/duplicate "request_method" variable/ ])
{
    my ($http, @patterns) = @$case;

    refused($http, $http, '', @patterns);
}

is(says('server { listen unix:%DIR%/a.sock; set $to b; }'
        . routes('GET / a;'), 'set $to b;'), '', 'set $to');
refused('gateway_routes in a server', '', 'gateway_routes $a { GET / a; }',
        qr/"gateway_routes" directive is not allowed here/);
refused('a capture that routes do not have', routes('GET /:id a;'),
        'set $x $gateway_path_name;',
        qr/unknown "gateway_path_name" variable/);

# gateway_route

my $VALUE = 'it must be "off" or the variable of a "gateway_routes"';

for my $case (
    [ 'gateway_route;', qr/invalid number of arguments in "gateway_route"/ ],
    [ 'gateway_route $to $to;',
      qr/invalid number of arguments in "gateway_route"/ ],
    [ 'gateway_route on;',
      qr/invalid value "on" in "gateway_route", \Q$VALUE\E in \S+:\d+$/ ],
    [ 'gateway_route $;', qr/invalid value "\$" in "gateway_route", / ],
    [ 'gateway_route $host;',
      qr/invalid value "\$host" in "gateway_route", \Q$VALUE\E in \S+:\d+$/ ],
    [ 'gateway_route $to; gateway_route off;',
      qr/"gateway_route" directive is duplicate/ ],
    [ 'gateway_route off; gateway_route off;',
      qr/"gateway_route" directive is duplicate/ ],
    [ 'location / { if ($arg_x) { gateway_route $to; } }',
      qr/"gateway_route" directive is not allowed here/ ])
{
    my ($server, @patterns) = @$case;

    refused($server, routes('GET / a;'), $server, @patterns);
}

refused('gateway_route in http', routes('GET / a;') . 'gateway_route $to;', '',
        qr/"gateway_route" directive is not allowed here/);
refused('gateway_route without routes', '', 'gateway_route $to;',
        qr/invalid value "\$to" in "gateway_route", \Q$VALUE\E in \S+:\d+$/);

is(says('server { listen unix:%DIR%/a.sock; gateway_route $TO; }'
        . routes('GET / a;')), '', 'gateway_route before its gateway_routes');

done_testing();
