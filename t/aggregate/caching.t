
# Cache-Control and Vary of the whole: what holds for all parts (RFC 9111).

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayAggregate;
use Test::Nginx::Socket 'no_plan';

# A location /cN/ for each answer, which is a list of header fields, and an
# aggregate /tN of those answers.

our @Answers;

sub location {
    my @fields = @_;

    push @Answers, CORE::join ' ', map { "add_header $_;" } @fields;

    return $#Answers;
}

sub rows {
    my @rows = @_;

    @Answers = ();

    my (@locations, @requests);

    for my $n (0 .. $#rows) {
        my ($name, $want, @parts) = @{ $rows[$n] };
        my $number = 0;

        my $vary = ref $want ? $want->[1] : undef;
        my $control = ref $want ? $want->[0] : $want;

        push @locations, "n$n" => CORE::join "\n",
            map { 'part p' . $number++ . ' /c' . location(@$_) . ';' } @parts;

        push @requests, [ $name => '{' . CORE::join(',',
                              map { "\"p$_\":1" } 0 .. $#parts) . '}',
                          at => "n$n",
                          response => { 'Cache-Control' => $control,
                                        'Vary' => $vary } ];
    }

    our $Http = backend(map { "location = /c$_ { $Answers[$_] return 200 1; }" }
                            0 .. $#Answers);
    our $Locations = \@locations;

    return \@requests;
}

# add_header does nothing in a part's own location

sub backend {
    my $socket = 'unix:$TEST_NGINX_SERVER_ROOT/html/caching.sock';

    return CORE::join "\n", "upstream caching { server $socket; }",
                            "server { listen $socket;", @_, '}';
}

our $Pass = 'location /c { proxy_pass http://caching; }';

our $cc = sub { [ map { "Cache-Control '$_'" } @_ ] };

our $Requests = rows(
    [ 'none' => undef, [], [] ],
    [ 'one of two' => undef, $cc->('max-age=10'), [] ],
    [ 'one alone' => 'max-age=10', $cc->('max-age=10') ],
    [ 'the smaller' => 'max-age=5', $cc->('max-age=10'), $cc->('max-age=5') ],
    [ 'and back' => 'max-age=5', $cc->('max-age=5'), $cc->('max-age=10') ],
    [ 'zero' => 'max-age=0', $cc->('max-age=0'), $cc->('max-age=10') ],
    [ 'less the age' => 'max-age=3', [ @{ $cc->('max-age=10') }, 'Age 7' ],
      $cc->('max-age=5') ],
    [ 'older than it may be' => 'max-age=0',
      [ @{ $cc->('max-age=10') }, 'Age 11' ] ],
    [ 'an age that is none' => 'max-age=0',
      [ @{ $cc->('max-age=10') }, 'Age x' ] ],
    [ 'an age before' => 'max-age=4', [ 'Age 6', @{ $cc->('max-age=10') } ] ],
    [ 'an age without a lifetime' => undef, [ 'Age 6' ] ],
    [ 'no number' => 'max-age=0', $cc->('max-age=x'), $cc->('max-age=10') ],
    [ 'nothing' => 'max-age=0', $cc->('max-age') ],
    [ 'too large' => 'max-age=0', $cc->('max-age=99999999999999999999') ],
    [ 'quoted' => 'max-age=7', $cc->('max-age="7"') ],
    [ 'twice, the smaller' => 'max-age=3', $cc->('max-age=7, max-age=3') ],
    [ 'two fields' => 'no-cache, max-age=7', $cc->('max-age=7', 'no-cache') ],
    [ 'upper case' => 'max-age=7', $cc->('MAX-AGE=7') ],
    [ 'spaces' => 'private, max-age=7', $cc->(" ,max-age=7\t, , private ,") ],
    [ 'unknown ones' => 'max-age=7', $cc->('x="a,no-store", max-age=7, y=1') ],
    [ 's-maxage' => 'max-age=7, s-maxage=9', $cc->('max-age=7, s-maxage=9') ],
    [ 's-maxage of one' => 'max-age=5, s-maxage=8',
      $cc->('max-age=5, s-maxage=9'), $cc->('max-age=8') ],
    [ 's-maxage of one, of two lifetimes' => 's-maxage=8',
      $cc->('s-maxage=9'), $cc->('max-age=8') ],
    [ 's-maxage of one only' => undef, $cc->('s-maxage=9'), [] ],
    [ 's-maxage less the age' => 'max-age=0, s-maxage=3',
      [ @{ $cc->('max-age=5, s-maxage=9') }, 'Age 6' ] ],
    [ 'public' => 'public', $cc->('public'), $cc->('public') ],
    [ 'public of one' => undef, $cc->('public'), [] ],
    [ 'public of the other' => 'max-age=1', $cc->('max-age=1'),
      $cc->('public, max-age=2') ],
    [ 'private' => 'private', $cc->('private'), [] ],
    [ 'private and public' => 'private, max-age=5',
      $cc->('private, max-age=5'), $cc->('public, max-age=6') ],
    [ 'public and private of one' => 'private', $cc->('public, private') ],
    [ 'no-store' => 'no-store', [], $cc->('no-store') ],
    [ 'no-store and public' => 'no-store, max-age=1',
      $cc->('public, max-age=1'), $cc->('no-store, public, max-age=2') ],
    [ 'no-cache' => 'no-cache', $cc->('max-age=5'), $cc->('no-cache') ],
    [ 'no-cache of a field' => 'no-cache', $cc->('no-cache="set-cookie"') ],
    [ 'all that one part says' =>
      'private, no-cache, no-store, no-transform, must-revalidate, '
      . 'proxy-revalidate, max-age=1',
      $cc->('no-transform, must-revalidate, max-age=1'),
      $cc->('proxy-revalidate, private, max-age=2'),
      $cc->('no-cache, no-store, max-age=3') ],
    [ 'Vary' => [ 'max-age=1', 'Accept, X-User, Cookie' ],
      [ @{ $cc->('max-age=1') }, q(Vary 'Accept, X-User') ],
      [ @{ $cc->('max-age=1') }, q(Vary 'x-user,Cookie'), 'Vary ACCEPT' ] ],
    [ 'Vary of one' => [ 'max-age=1', 'Accept' ],
      [ @{ $cc->('max-age=1') }, 'Vary Accept' ], $cc->('max-age=1') ],
    [ 'Vary *' => [ 'max-age=1', '*' ],
      [ @{ $cc->('max-age=1') }, 'Vary Accept' ],
      [ @{ $cc->('max-age=1') }, 'Vary *' ] ],
    [ 'more names than are told' => [ 'max-age=1', '*' ],
      [ @{ $cc->('max-age=1') },
        "Vary '" . CORE::join(',', map { "X-$_" } 1 .. 33) . "'" ] ],
    [ 'names as many as are told' => [ 'max-age=1',
      CORE::join ', ', map { "X-$_" } 1 .. 32 ],
      [ @{ $cc->('max-age=1') },
        "Vary '" . CORE::join(',', map { "X-$_" } 1 .. 32) . "'" ] ],
    [ 'Vary without Cache-Control' => undef, [ 'Vary Accept' ] ],
    [ 'names of like length' => undef, [ 'X-y 1', 'Xge 1',
      'Cache-Contrel max-age=1' ] ],
);

our $Http;
our $Locations;

run_blocks();

__DATA__

=== TEST 1: the strictest of all parts
--- http_config eval: $main::Http
--- server eval: $main::Pass
--- locations eval: $main::Locations
--- requests eval: $main::Requests



=== TEST 2: only of a whole that is complete
--- http_config eval
main::backend(<<'_EOC_')
location /c/ { add_header Cache-Control max-age=5; add_header Vary Accept; return 200 '[1,2]'; }
location = /c404 { add_header Cache-Control max-age=3 always; return 404 1; }
_EOC_
--- server eval: $main::Pass
--- locations eval
[ t => 'part a /c/; part b /f/no optional;',
  default => 'part a /c/; part b /f/no default=1;',
  truncated => 'part a /c/; part b /c/<item> each=a max=1;',
  complete => 'part a /c/; part b /c/<item> each=a;',
  status => 'part a /c/; part b /c404 status=404;',
  static => 'part a /c/; part b /f/a;' ]
--- answers eval
[ a => '1' ]
--- requests eval
my $none = { 'Cache-Control' => undef, 'Vary' => undef };
[
    [ 'a part is missing' => '{"a":[1,2]}',
      aggregate => 'partial; missing="b"', response => $none ],
    [ 'a part has its default' => '{"a":[1,2],"b":1}', at => 'default',
      aggregate => 'partial; missing="b"', response => $none ],
    [ 'elements are missing' => '{"a":[1,2],"b":[[1,2]]}', at => 'truncated',
      aggregate => 'partial; truncated="b"', response => $none ],
    [ 'all elements' => '{"a":[1,2],"b":[[1,2],[1,2]]}', at => 'complete',
      response => { 'Cache-Control' => 'max-age=5', 'Vary' => 'Accept' } ],
    [ 'another status that is one of success' => '{"a":[1,2],"b":1}',
      at => 'status',
      response => { 'Cache-Control' => 'max-age=3', 'Vary' => 'Accept' } ],
    [ 'a file says nothing' => '{"a":[1,2],"b":1}', at => 'static',
      response => $none ],
]



=== TEST 3: header fields of parts are not those of the whole
--- http_config eval
main::backend(<<'_EOC_')
location /c/ {
    add_header Set-Cookie a=b; add_header ETag x; add_header X-Part 1;
    add_header Expires 0; add_header Location /x; add_header WWW-Authenticate x;
    add_header Content-Language de; add_header Link x; add_header Gateway-Aggregate x;
    return 200 1;
}
_EOC_
--- server eval: $main::Pass
--- lines
add_header X-Whole 1;
add_header Set-Cookie c=d;
--- parts
part a /c/;
part b /f/b;
--- answers eval
[ b => '2' ]
--- requests eval
[ [ 'they are dropped' => '{"a":1,"b":2}', response => {
    'Set-Cookie' => 'c=d', 'X-Whole' => 1, 'Last-Modified' => undef,
    'Accept-Ranges' => undef,
    map { $_ => undef } qw( ETag X-Part Expires Location WWW-Authenticate
                            Content-Language Link ) } ] ]



=== TEST 4: expires of the location, which adds its own
--- http_config eval
main::backend(<<'_EOC_')
location /c/ { add_header Cache-Control max-age=5; return 200 1; }
_EOC_
--- server eval: $main::Pass
--- lines
add_header Cache-Control no-transform;
--- parts
part a /c/;
--- requests eval
[ [ 'both' => '{"a":1}',
    response => { 'Cache-Control' => 'max-age=5, no-transform' } ] ]
