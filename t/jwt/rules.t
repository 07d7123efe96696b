
# gateway_jwt_require_claim and gateway_jwt_require_scope: RFC 6901, RFC 8693
# section 4.2, RFC 6750 section 3.1.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayTest;
use Test::Nginx::Socket;

run_blocks();

__DATA__

=== TEST 1: eq and ne, strings
--- locations eval
[
    eq => 'gateway_jwt_require_claim sub eq alice;',
    ne => 'gateway_jwt_require_claim sub ne alice;',
    empty => 'gateway_jwt_require_claim sub eq "";',
    spaces => 'gateway_jwt_require_claim sub eq "two words";',
]
--- tokens eval
[
    [ 'eq'               => jwt() => 'ok', at => 'eq' ],
    [ 'eq, an escape'    => jwt({ sub => \'"\u0061lice"' }) => 'ok',
      at => 'eq' ],
    [ 'eq, another'      => jwt({ sub => 'bob' }) => 'claim_rejected',
      at => 'eq' ],
    [ 'eq, longer'       => jwt({ sub => 'alice2' }) => 'claim_rejected',
      at => 'eq' ],
    [ 'eq, shorter'      => jwt({ sub => 'alic' }) => 'claim_rejected',
      at => 'eq' ],
    [ 'eq, another case' => jwt({ sub => 'Alice' }) => 'claim_rejected',
      at => 'eq' ],
    [ 'eq, empty'        => jwt({ sub => '' }) => 'claim_rejected',
      at => 'eq' ],
    [ 'eq, absent'       => jwt({ sub => undef }) => 'claim_rejected',
      at => 'eq' ],
    [ 'eq, null'         => jwt({ sub => \'null' }) => 'claim_rejected',
      at => 'eq' ],
    [ 'eq, an array of it' => jwt({ sub => [ 'alice' ] })
      => 'claim_rejected', at => 'eq' ],
    [ 'ne'               => jwt() => 'claim_rejected', at => 'ne' ],
    [ 'ne, another'      => jwt({ sub => 'bob' }) => 'ok', at => 'ne' ],
    [ 'ne, another case' => jwt({ sub => 'Alice' }) => 'ok', at => 'ne' ],
    [ 'ne, empty'        => jwt({ sub => '' }) => 'ok', at => 'ne' ],
    [ 'ne, absent'       => jwt({ sub => undef }) => 'claim_rejected',
      at => 'ne' ],
    map({ [ "ne, $_" => jwt({ sub => \$_ }) => 'claim_rejected',
            at => 'ne' ] }
        'null', '[]', '["alice"]', '["bob"]', '{}', '{"bob":1}'),
    map({ [ "ne, $_" => jwt({ sub => \$_ }) => 'ok', at => 'ne' ] }
        'true', 'false', '"bob"'),
    [ 'empty'            => jwt({ sub => '' }) => 'ok', at => 'empty' ],
    [ 'empty, a word'    => jwt() => 'claim_rejected', at => 'empty' ],
    [ 'empty, absent'    => jwt({ sub => undef }) => 'claim_rejected',
      at => 'empty' ],
    [ 'spaces'           => jwt({ sub => 'two words' }) => 'ok',
      at => 'spaces' ],
    [ 'spaces, a word'   => jwt({ sub => 'two' }) => 'claim_rejected',
      at => 'spaces' ],
]



=== TEST 2: eq and ne, numbers and booleans
--- locations eval
[
    eq => 'gateway_jwt_require_claim n eq 10;',
    half => 'gateway_jwt_require_claim n eq 0.50;',
    ne => 'gateway_jwt_require_claim n ne 10;',
    big => 'gateway_jwt_require_claim n eq 9007199254740993;',
    least => 'gateway_jwt_require_claim n eq -9223372036854775808;',
    notleast => 'gateway_jwt_require_claim n ne -9223372036854775808;',
    true => 'gateway_jwt_require_claim n eq true;',
    false => 'gateway_jwt_require_claim n eq false;',
]
--- tokens eval
[
    [ 'eq'          => jwt({ n => \'10' }) => 'ok', at => 'eq' ],
    [ 'eq, 10.0'    => jwt({ n => \'10.0' }) => 'ok', at => 'eq' ],
    [ 'eq, 1e1'     => jwt({ n => \'1e1' }) => 'ok', at => 'eq' ],
    [ 'eq, a string' => jwt({ n => '10' }) => 'ok', at => 'eq' ],
    [ 'eq, 10.5'    => jwt({ n => \'10.5' }) => 'claim_rejected',
      at => 'eq' ],
    [ 'eq, 1'       => jwt({ n => \'1' }) => 'claim_rejected', at => 'eq' ],
    [ 'eq, 100'     => jwt({ n => \'100' }) => 'claim_rejected',
      at => 'eq' ],
    [ 'eq, the string 10.0' => jwt({ n => '10.0' }) => 'claim_rejected',
      at => 'eq' ],
    [ 'eq, true'    => jwt({ n => \'true' }) => 'claim_rejected',
      at => 'eq' ],
    [ 'half'        => jwt({ n => \'0.5' }) => 'ok', at => 'half' ],
    [ 'half, 5e-1'  => jwt({ n => \'5e-1' }) => 'ok', at => 'half' ],
    [ 'ne'          => jwt({ n => \'11' }) => 'ok', at => 'ne' ],
    [ 'ne, 10'      => jwt({ n => \'10' }) => 'claim_rejected',
      at => 'ne' ],
    [ 'ne, 1e1'     => jwt({ n => \'1e1' }) => 'claim_rejected',
      at => 'ne' ],
    [ 'ne, in very many digits'
      => jwt({ n => \('10.' . '0' x 600) }) => 'claim_rejected',
      at => 'ne' ],
    [ 'big'         => jwt({ n => \'9007199254740993' }) => 'ok',
      at => 'big' ],
    [ 'big, a neighbour that a double can not tell'
      => jwt({ n => \'9007199254740992' }) => 'claim_rejected',
      at => 'big' ],
    [ 'least'       => jwt({ n => \'-9223372036854775808' }) => 'ok',
      at => 'least' ],
    [ 'least, its neighbour' => jwt({ n => \'-9223372036854775807' })
      => 'claim_rejected', at => 'least' ],
    [ 'not least'   => jwt({ n => \'-9223372036854775807' }) => 'ok',
      at => 'notleast' ],
    [ 'not least, but it is' => jwt({ n => \'-9223372036854775808' })
      => 'claim_rejected', at => 'notleast' ],
    [ 'true'        => jwt({ n => \'true' }) => 'ok', at => 'true' ],
    [ 'true, false' => jwt({ n => \'false' }) => 'claim_rejected',
      at => 'true' ],
    [ 'true, 1'     => jwt({ n => \'1' }) => 'claim_rejected',
      at => 'true' ],
    [ 'false'       => jwt({ n => \'false' }) => 'ok', at => 'false' ],
    [ 'false, null' => jwt({ n => \'null' }) => 'claim_rejected',
      at => 'false' ],
    [ 'false, 0'    => jwt({ n => \'0' }) => 'claim_rejected',
      at => 'false' ],
]



=== TEST 3: in
--- locations eval
[
    in => 'gateway_jwt_require_claim tier in gold silver "two words" 3;',
    one => 'gateway_jwt_require_claim tier in gold;',
]
--- tokens eval
[
    map({ [ "in: $_" => jwt({ tier => $_ }) => 'ok', at => 'in' ] }
        'gold', 'silver', 'two words', '3'),
    [ 'in: the number 3' => jwt({ tier => \'3' }) => 'ok', at => 'in' ],
    [ 'in: 3.0' => jwt({ tier => \'3.0' }) => 'ok', at => 'in' ],
    map({ [ "in: $_" => jwt({ tier => $_ }) => 'claim_rejected',
            at => 'in' ] }
        'bronze', 'gol', 'golds', '', 'two', 'gold silver'),
    [ 'in: absent' => jwt() => 'claim_rejected', at => 'in' ],
    [ 'in: an array' => jwt({ tier => [ 'gold' ] }) => 'claim_rejected',
      at => 'in' ],
    [ 'in: 4' => jwt({ tier => \'4' }) => 'claim_rejected', at => 'in' ],
    [ 'one: gold' => jwt({ tier => 'gold' }) => 'ok', at => 'one' ],
    [ 'one: silver' => jwt({ tier => 'silver' }) => 'claim_rejected',
      at => 'one' ],
]



=== TEST 4: contains
--- locations eval
[
    one => 'gateway_jwt_require_claim groups contains admin;',
    two => 'gateway_jwt_require_claim groups contains admin staff;',
    number => 'gateway_jwt_require_claim groups contains 7;',
]
--- tokens eval
[
    [ 'an array'         => jwt({ groups => [ 'x', 'admin' ] }) => 'ok',
      at => 'one' ],
    [ 'an array of one'  => jwt({ groups => [ 'admin' ] }) => 'ok',
      at => 'one' ],
    [ 'beside other types'
      => jwt({ groups => \'[1,null,{"admin":1},["x"],"admin"]' }) => 'ok',
      at => 'one' ],
    [ 'a string'         => jwt({ groups => 'admin' }) => 'ok',
      at => 'one' ],
    [ 'words'            => jwt({ groups => 'x admin y' }) => 'ok',
      at => 'one' ],
    [ 'words, more spaces' => jwt({ groups => '  x   admin ' }) => 'ok',
      at => 'one' ],
    [ 'words, an escape' => jwt({ groups => \'"x\u0020admin"' }) => 'ok',
      at => 'one' ],
    map({ [ 'not: ' . json($_) => jwt({ groups => $_ }) => 'claim_rejected',
            at => 'one' ] }
        [], [ 'administrator' ], [ 'adm', 'in' ], [ 'Admin' ], [ [ 'admin' ] ],
        [ 'x admin' ], { admin => \'true' }, '', 'administrator', 'xadmin',
        'x,admin', "x\tadmin", \'true', \'null', \'1'),
    [ 'absent'           => jwt() => 'claim_rejected', at => 'one' ],
    [ 'both'             => jwt({ groups => [ 'staff', 'admin' ] }) => 'ok',
      at => 'two' ],
    [ 'both, words'      => jwt({ groups => 'staff admin' }) => 'ok',
      at => 'two' ],
    [ 'the first alone'  => jwt({ groups => [ 'admin' ] })
      => 'claim_rejected', at => 'two' ],
    [ 'the second alone' => jwt({ groups => 'staff' }) => 'claim_rejected',
      at => 'two' ],
    [ 'a number'         => jwt({ groups => \'[1,7]' }) => 'ok',
      at => 'number' ],
    [ 'a number, another' => jwt({ groups => \'[1,77]' })
      => 'claim_rejected', at => 'number' ],
]



=== TEST 5: matches
--- locations eval
[
    part => 'gateway_jwt_require_claim email matches "@example\.com$";',
    whole => 'gateway_jwt_require_claim email matches "^[a-z]{2,5}$";',
    case => 'gateway_jwt_require_claim email matches "(?i)^alice$";',
    utf8 => 'gateway_jwt_require_claim email matches "^Andr\xc3\xa9$";',
    number => 'gateway_jwt_require_claim n matches "^1[0-9]$";',
]
--- tokens eval
[
    [ 'part'          => jwt({ email => 'a@example.com' }) => 'ok',
      at => 'part' ],
    [ 'part, more'    => jwt({ email => 'a@example.com.evil' })
      => 'claim_rejected', at => 'part' ],
    [ 'part, a letter for the dot' => jwt({ email => 'a@examplexcom' })
      => 'claim_rejected', at => 'part' ],
    [ 'part, absent'  => jwt() => 'claim_rejected', at => 'part' ],
    [ 'part, an array' => jwt({ email => [ 'a@example.com' ] })
      => 'claim_rejected', at => 'part' ],
    [ 'whole'         => jwt({ email => 'abc' }) => 'ok', at => 'whole' ],
    [ 'whole, longer' => jwt({ email => 'abcdef' }) => 'claim_rejected',
      at => 'whole' ],
    [ 'whole, upper case' => jwt({ email => 'ABC' }) => 'claim_rejected',
      at => 'whole' ],
    [ 'case'          => jwt({ email => 'ALICE' }) => 'ok', at => 'case' ],
    [ 'utf8'          => jwt({ email => \'"Andr\u00e9"' }) => 'ok',
      at => 'utf8' ],
    [ 'empty'         => jwt({ email => '' }) => 'claim_rejected',
      at => 'whole' ],
]



=== TEST 6: captures of a location survive matches
--- config
    location ~ ^/t/(?<id>[0-9]+)/(.+)$ {
        gateway_jwt "api" issuer=corp;
        gateway_jwt_require_claim email matches "^(.)(?<x>.)";
        add_header X-Status "$gateway_jwt_status $1 $2 $id" always;
        empty_gif;
    }
--- request
GET /t/42/abc
--- more_headers eval
"Authorization: Bearer " . jwt({ email => 'alice' })
--- response_headers
X-Status: ok 42 abc 42



=== TEST 7: a regex that backtracks for ever is cut off, and refuses
--- locations eval
[
    a => 'gateway_jwt_require_claim email matches "^(a+)+$";',
    b => 'gateway_jwt_require_claim email matches "^(([a-z])+.)+[A-Z]([a-z])+$";',
    c => 'gateway_jwt_require_claim email matches "(x+x+)+y";',
]
--- tokens eval
[
    [ 'a, good' => jwt({ email => 'a' x 40 }) => 'ok', at => 'a' ],
    [ 'a' => jwt({ email => 'a' x 4000 . '!' }) => 'claim_rejected',
      at => 'a' ],
    [ 'b' => jwt({ email => 'a' x 4000 }) => 'claim_rejected', at => 'b' ],
    [ 'c' => jwt({ email => 'x' x 4000 }) => 'claim_rejected', at => 'c' ],
]
--- timeout: 2
--- no_error_log
[crit]
[alert]
eyJ



=== TEST 8: gt, ge, lt, le
--- locations eval
[
    map({ $_ => "gateway_jwt_require_claim n $_ 5;" } qw( gt ge lt le )),
    range => 'gateway_jwt_require_claim n ge -1.5;
              gateway_jwt_require_claim n lt 2e2;',
    big => 'gateway_jwt_require_claim n gt 9007199254740992;',
]
--- tokens eval
my %good = (gt => [ '6', '5.0001', '1e300', '9223372036854775807' ],
            ge => [ '5', '5.0', '6' ],
            lt => [ '4', '-1', '4.999', '-1e300' ],
            le => [ '5', '50e-1', '4' ]);
my %bad = (gt => [ '5', '4', '5.0', '-6' ], ge => [ '4', '4.9999' ],
           lt => [ '5', '6', '5.0' ], le => [ '6', '5.0001' ]);
[
    map({ my $op = $_;
          map({ [ "$_ $op 5" => jwt({ n => \$_ }) => 'ok', at => $op ] }
              @{ $good{$op} }),
          map({ [ "$_ $op 5" => jwt({ n => \$_ }) => 'claim_rejected',
                  at => $op ] }
              @{ $bad{$op} }, '"5"', '"6"', '"4"', 'null', 'true', 'false',
              '[]', '[6]', '{}', '""') }
        qw( gt lt )),
    map({ my $op = $_;
          map({ [ "$_ $op 5" => jwt({ n => \$_ }) => 'ok', at => $op ] }
              @{ $good{$op} }),
          map({ [ "$_ $op 5" => jwt({ n => \$_ }) => 'claim_rejected',
                  at => $op ] } @{ $bad{$op} }, '"5"') }
        qw( ge le )),
    [ 'absent' => jwt() => 'claim_rejected', at => 'lt' ],
    [ 'range'  => jwt({ n => \'-1.5' }) => 'ok', at => 'range' ],
    [ 'range, upper' => jwt({ n => \'199.9' }) => 'ok', at => 'range' ],
    [ 'range, below' => jwt({ n => \'-1.6' }) => 'claim_rejected',
      at => 'range' ],
    [ 'range, above' => jwt({ n => \'200' }) => 'claim_rejected',
      at => 'range' ],
    [ 'big' => jwt({ n => \'9007199254740993' }) => 'ok', at => 'big' ],
    [ 'big, the same' => jwt({ n => \'9007199254740992' })
      => 'claim_rejected', at => 'big' ],
]



=== TEST 9: exists
--- locations eval
[
    exists => 'gateway_jwt_require_claim x exists;',
    deep => 'gateway_jwt_require_claim /x/y exists;',
]
--- tokens eval
[
    map({ [ $_ => jwt({ x => \$_ }) => 'ok', at => 'exists' ] }
        '1', '""', '"a"', 'false', '[]', '{}', '0', 'null'),
    [ 'absent' => jwt() => 'claim_rejected', at => 'exists' ],
    [ 'elsewhere' => jwt({ y => { x => 1 } }) => 'claim_rejected',
      at => 'exists' ],
    [ 'another case' => jwt({ X => 1 }) => 'claim_rejected',
      at => 'exists' ],
    [ 'deep' => jwt({ x => { y => \'null' } }) => 'ok', at => 'deep' ],
    [ 'deep, absent' => jwt({ x => { z => 1 } }) => 'claim_rejected',
      at => 'deep' ],
    [ 'deep, a string' => jwt({ x => 'y' }) => 'claim_rejected',
      at => 'deep' ],
]



=== TEST 10: pointers
--- locations eval
[
    roles => 'gateway_jwt_require_claim /realm_access/roles contains admin;',
    index => 'gateway_jwt_require_claim /a/1/b eq x;',
    zero => 'gateway_jwt_require_claim /a/0 eq x;',
    leading => 'gateway_jwt_require_claim /a/00 exists;',
    dash => 'gateway_jwt_require_claim /a/- exists;',
    tilde => 'gateway_jwt_require_claim "/a~0b~1c" eq x;',
    both => 'gateway_jwt_require_claim "/~01" eq x;',
    url => 'gateway_jwt_require_claim "/https:~1~1example.com~1role" eq x;',
    dots => 'gateway_jwt_require_claim a.b eq x;',
    space => 'gateway_jwt_require_claim "a b" eq x;',
    empty => 'gateway_jwt_require_claim "/a/" eq x;',
    whole => 'gateway_jwt_require_claim /sub eq alice;',
]
--- tokens eval
[
    [ 'roles' => jwt({ realm_access => { roles => [ 'x', 'admin' ] } })
      => 'ok', at => 'roles' ],
    [ 'roles, without' => jwt({ realm_access => { roles => [ 'x' ] } })
      => 'claim_rejected', at => 'roles' ],
    [ 'roles, not nested' => jwt({ roles => [ 'admin' ] })
      => 'claim_rejected', at => 'roles' ],
    [ 'roles, a name with a slash'
      => jwt({ 'realm_access/roles' => [ 'admin' ] }) => 'claim_rejected',
      at => 'roles' ],
    [ 'roles, a name that is the pointer'
      => jwt({ '/realm_access/roles' => [ 'admin' ] }) => 'claim_rejected',
      at => 'roles' ],
    [ 'roles, no object' => jwt({ realm_access => 'admin' })
      => 'claim_rejected', at => 'roles' ],
    [ 'index' => jwt({ a => \'[{"b":"y"},{"b":"x"}]' }) => 'ok',
      at => 'index' ],
    [ 'index, too short' => jwt({ a => \'[{"b":"x"}]' })
      => 'claim_rejected', at => 'index' ],
    [ 'index, an object' => jwt({ a => \'{"1":{"b":"x"}}' }) => 'ok',
      at => 'index' ],
    [ 'zero' => jwt({ a => [ 'x', 'y' ] }) => 'ok', at => 'zero' ],
    [ 'zero, empty' => jwt({ a => [] }) => 'claim_rejected',
      at => 'zero' ],
    [ 'leading zero' => jwt({ a => [ 'x', 'y' ] }) => 'claim_rejected',
      at => 'leading' ],
    [ 'dash, an array' => jwt({ a => [ 'x', 'y' ] }) => 'claim_rejected',
      at => 'dash' ],
    [ 'dash, an object' => jwt({ a => { '-' => 'x' } }) => 'ok',
      at => 'dash' ],
    [ 'tilde' => jwt({ 'a~b/c' => 'x' }) => 'ok', at => 'tilde' ],
    [ 'both' => jwt({ '~1' => 'x' }) => 'ok', at => 'both' ],
    [ 'both, the other order' => jwt({ '/' => 'x' }) => 'claim_rejected',
      at => 'both' ],
    [ 'url' => jwt({ 'https://example.com/role' => 'x' }) => 'ok',
      at => 'url' ],
    [ 'dots' => jwt({ 'a.b' => 'x' }) => 'ok', at => 'dots' ],
    [ 'dots, nested' => jwt({ a => { b => 'x' } }) => 'claim_rejected',
      at => 'dots' ],
    [ 'space' => jwt({ 'a b' => 'x' }) => 'ok', at => 'space' ],
    [ 'empty' => jwt({ a => { '' => 'x' } }) => 'ok', at => 'empty' ],
    [ 'whole' => jwt() => 'ok', at => 'whole' ],
]



=== TEST 11: values of variables
--- http_config
    map $http_x_tenant $tenant {
        default $http_x_tenant;
    }
--- locations eval
[
    eq => 'gateway_jwt_require_claim tenant eq $tenant;',
    text => 'gateway_jwt_require_claim tenant eq "t-$tenant-$arg_n";',
    in => 'gateway_jwt_require_claim tenant in x $tenant;',
    contains => 'gateway_jwt_require_claim tenants contains $tenant;',
    lt => 'gateway_jwt_require_claim n lt $http_x_n;',
    self => 'gateway_jwt_require_claim sub eq $gateway_jwt_claim_tenant;',
]
--- tokens eval
my $row = sub {
    my ($name, $claims, $status, $headers, @more) = @_;
    return [ $name => undef, $status,
             headers => 'Authorization: Bearer ' . jwt($claims)
                        . "\n$headers", @more ];
};
[
    $row->('eq', { tenant => 'a' }, 'ok', 'X-Tenant: a', at => 'eq'),
    $row->('eq, another', { tenant => 'a' }, 'claim_rejected',
           'X-Tenant: b', at => 'eq'),
    $row->('eq, no header', { tenant => 'a' }, 'claim_rejected', '',
           at => 'eq'),
    $row->('eq, neither', {}, 'claim_rejected', '', at => 'eq'),
    $row->('text', { tenant => 't-a-7' }, 'ok', 'X-Tenant: a',
           request => 'GET /text?n=7'),
    $row->('text, another', { tenant => 't-a-7' }, 'claim_rejected',
           'X-Tenant: a', request => 'GET /text?n=8'),
    $row->('in', { tenant => 'a' }, 'ok', 'X-Tenant: a', at => 'in'),
    $row->('in, the literal', { tenant => 'x' }, 'ok', 'X-Tenant: a',
           at => 'in'),
    $row->('in, another', { tenant => 'b' }, 'claim_rejected',
           'X-Tenant: a', at => 'in'),
    $row->('contains', { tenants => [ 'a', 'b' ] }, 'ok', 'X-Tenant: b',
           at => 'contains'),
    $row->('contains, not', { tenants => [ 'a', 'b' ] }, 'claim_rejected',
           'X-Tenant: c', at => 'contains'),
    $row->('contains, empty', { tenants => [ 'a', 'b' ] },
           'claim_rejected', '', at => 'contains'),
    $row->('contains, empty, words', { tenants => 'a  b' },
           'claim_rejected', '', at => 'contains'),
    $row->('lt', { n => \'4' }, 'ok', 'X-N: 5', at => 'lt'),
    $row->('lt, not', { n => \'5' }, 'claim_rejected', 'X-N: 5',
           at => 'lt'),
    $row->("the token's own claim", { tenant => 'alice' }, 'ok', '',
           at => 'self'),
    $row->("not the token's own claim", { tenant => 'bob' },
           'claim_rejected', '', at => 'self'),
]



=== TEST 12: a value that is no number refuses, and is logged
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_require_claim n lt $http_x_n;
--- request eval
[('GET /t') x 6]
--- more_headers eval
my $auth = "Authorization: Bearer " . jwt({ n => \'4' });
["$auth\nX-N: x", "$auth", "$auth\nX-N: 5x", "$auth\nX-N: 0x10",
 "$auth\nX-N: 1e400", "$auth\nX-N: 5 6"]
--- error_code eval
[(403) x 6]
--- response_headers eval
[('X-Status: claim_rejected') x 6]
--- error_log eval
qr/\[error\].*gateway_jwt_require_claim/
--- no_error_log
[crit]
[alert]
eyJ
--- no_access_log
/backend



=== TEST 13: several lines must all hold
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_require_claim sub eq alice;
    gateway_jwt_require_claim tier in gold silver;
    gateway_jwt_require_claim groups contains admin;
    gateway_jwt_require_scope read;
--- tokens eval
my %good = (tier => 'gold', groups => [ 'admin' ], scope => 'read');
[
    [ 'all'   => jwt({ %good }) => 'ok' ],
    [ 'not the first' => jwt({ %good, sub => 'bob' }) => 'claim_rejected' ],
    [ 'not the second' => jwt({ %good, tier => 'bronze' })
      => 'claim_rejected' ],
    [ 'not the third' => jwt({ %good, groups => [] }) => 'claim_rejected' ],
    [ 'not the scope' => jwt({ %good, scope => 'write' })
      => 'insufficient_scope', scope => 'read' ],
    [ 'neither a claim nor the scope'
      => jwt({ %good, scope => 'write', groups => [] })
      => 'claim_rejected' ],
]



=== TEST 14: rules are looked at only after the token is verified
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_require_claim sub eq bob;
    gateway_jwt_require_scope read;
--- tokens eval
[
    [ 'no token'   => undef, 'missing' ],
    [ 'expired'    => jwt({ exp => at(-60) }) => 'expired' ],
    [ 'audience'   => jwt({ aud => 'x' }) => 'wrong_audience' ],
    [ 'signature'  => jwt({ sub => 'bob', scope => 'read' },
                          key => 'rsa_other', kid => 'rsa')
      => 'bad_signature' ],
    [ 'a good token' => jwt() => 'claim_rejected' ],
]



=== TEST 15: scope and scp
--- locations eval
[
    one => 'gateway_jwt_require_scope orders:read;',
    two => 'gateway_jwt_require_scope orders:read orders:write;',
    lines => 'gateway_jwt_require_scope orders:read;
              gateway_jwt_require_scope orders:write;',
]
--- tokens eval
my @one = (at => 'one', scope => 'orders:read');
my @two = (at => 'two', scope => 'orders:read orders:write');
[
    [ 'scope'            => jwt({ scope => 'orders:read' }) => 'ok', @one ],
    [ 'scope, words'     => jwt({ scope => 'x orders:read y' }) => 'ok',
      @one ],
    [ 'scope, an array'  => jwt({ scope => [ 'x', 'orders:read' ] })
      => 'ok', @one ],
    [ 'scp, a string'    => jwt({ scp => 'orders:read x' }) => 'ok', @one ],
    [ 'scp, an array'    => jwt({ scp => [ 'x', 'orders:read' ] }) => 'ok',
      @one ],
    [ 'neither'          => jwt() => 'insufficient_scope', @one ],
    [ 'scope, another'   => jwt({ scope => 'orders:write' })
      => 'insufficient_scope', @one ],
    [ 'scope, longer'    => jwt({ scope => 'orders:readx' })
      => 'insufficient_scope', @one ],
    [ 'scope, shorter'   => jwt({ scope => 'orders:rea' })
      => 'insufficient_scope', @one ],
    [ 'scope, another case' => jwt({ scope => 'Orders:Read' })
      => 'insufficient_scope', @one ],
    [ 'scope, commas'    => jwt({ scope => 'x,orders:read' })
      => 'insufficient_scope', @one ],
    [ 'scope, empty'     => jwt({ scope => '' }) => 'insufficient_scope',
      @one ],
    [ 'scope, null'      => jwt({ scope => \'null' })
      => 'insufficient_scope', @one ],
    [ 'scope, a number'  => jwt({ scope => \'1' }) => 'insufficient_scope',
      @one ],
    [ 'scope, an object' => jwt({ scope => { 'orders:read' => \'true' } })
      => 'insufficient_scope', @one ],
    [ 'scp, words in an array' => jwt({ scp => [ 'x orders:read' ] })
      => 'insufficient_scope', @one ],
    [ 'scope is there, scp is not looked at'
      => jwt({ scope => 'x', scp => [ 'orders:read' ] })
      => 'insufficient_scope', @one ],
    [ 'both' => jwt({ scope => 'orders:write orders:read' }) => 'ok', @two ],
    [ 'both, an array' => jwt({ scp => [ 'orders:write', 'orders:read' ] })
      => 'ok', @two ],
    [ 'one of two' => jwt({ scope => 'orders:read' })
      => 'insufficient_scope', @two ],
    [ 'the other of two' => jwt({ scp => [ 'orders:write' ] })
      => 'insufficient_scope', @two ],
]



=== TEST 16: rules of a level replace those of the outer one
--- config
    gateway_jwt "api" issuer=corp;
    gateway_jwt_require_claim sub eq alice;
    gateway_jwt_require_scope read;
    add_header X-Status $gateway_jwt_status always;

    location /inherited {
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location /claim {
        gateway_jwt_require_claim tier eq gold;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location /scope {
        gateway_jwt_require_scope write;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;

        location /scope/deep {
            gateway_jwt_require_claim sub eq bob;
            proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
        }
    }

    location /backend {
        gateway_jwt off;
        return 200 "backend\n";
    }
--- tokens eval
[
    [ 'inherited' => jwt({ scope => 'read' }) => 'ok', at => 'inherited' ],
    [ 'inherited, the claim' => jwt({ scope => 'read', sub => 'bob' })
      => 'claim_rejected', at => 'inherited' ],
    [ 'inherited, the scope' => jwt({ scope => 'write' })
      => 'insufficient_scope', at => 'inherited', scope => 'read' ],
    [ 'claim' => jwt({ scope => 'read', sub => 'bob', tier => 'gold' })
      => 'ok', at => 'claim' ],
    [ 'claim, not its own' => jwt({ scope => 'read' }) => 'claim_rejected',
      at => 'claim' ],
    [ 'claim, the outer scope' => jwt({ tier => 'gold' })
      => 'insufficient_scope', at => 'claim', scope => 'read' ],
    [ 'scope' => jwt({ scope => 'write' }) => 'ok', at => 'scope' ],
    [ 'scope, the outer claim' => jwt({ scope => 'write', sub => 'bob' })
      => 'claim_rejected', at => 'scope' ],
    [ 'deep' => jwt({ scope => 'write', sub => 'bob' }) => 'ok',
      at => 'scope/deep' ],
    [ 'deep, the outer scope' => jwt({ scope => 'read', sub => 'bob' })
      => 'insufficient_scope', at => 'scope/deep', scope => 'write' ],
]



=== TEST 17: the same token, other rules in each location
--- locations eval
[
    a => 'gateway_jwt_require_claim tier eq gold;',
    b => 'gateway_jwt_require_claim tier eq silver;',
    c => 'gateway_jwt_require_scope read;',
    d => '',
]
--- tokens eval
my $t = jwt({ tier => 'gold' });
[
    map {
        [ 'a' => $t => 'ok', at => 'a' ],
        [ 'b' => $t => 'claim_rejected', at => 'b' ],
        [ 'c' => $t => 'insufficient_scope', at => 'c', scope => 'read' ],
        [ 'd' => $t => 'ok', at => 'd' ]
    } 1 .. 2
]



=== TEST 18: rules of limit_except
--- access
    gateway_jwt "api" issuer=corp;
    limit_except GET {
        gateway_jwt_require_scope write;
    }
--- tokens eval
[
    [ 'GET' => jwt() => 'ok' ],
    [ 'HEAD' => jwt() => 'ok', request => 'HEAD /t', body => '' ],
    [ 'POST' => jwt({ scope => 'write' }) => 'ok',
      request => "POST /t\nhello" ],
    [ 'POST without' => jwt() => 'insufficient_scope', scope => 'write',
      request => "POST /t\nhello" ],
    [ 'DELETE without' => jwt() => 'insufficient_scope', scope => 'write',
      request => 'DELETE /t' ],
    [ 'POST, no token' => undef, 'missing', request => "POST /t\nhello" ],
]
