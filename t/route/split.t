
# Several values: shares of the requests, at random and by a key that sticks,
# and what of it stays when weights change.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayNginx;

use IO::Socket::INET ();
use Test::More;

# "/" tells the value that was chosen, twice, and how

my $server = <<'_EOC_';
        keepalive_requests 100000;
        gateway_route $to;

        location / {
            add_header X-Told "$to, $gateway_route_value, $gateway_route_split";
            empty_gif;
        }
_EOC_

sub routes {
    my ($lines) = @_;

    return "gateway_routes \$to {\n$lines\n}\n";
}

my $LINES = <<'_EOC_';
    GET  /tenth        new=10 old=90;
    GET  /three        a=1 b=2 c=1;
    GET  /none         a=0 b=5;
    GET  /weights      a=$arg_a b=$arg_b;
    GET  /weights3     a=$arg_a b=$arg_b c=0;
    GET  /one          a=7;
    GET  /text         http://a/?x=1=1 http://b/?x=$arg_x=0;
    GET  /huge         a=1000000 b=1;
    GET  /sticky       new=10 old=90               sticky=$arg_key;
    GET  /turned       old=90 new=10               sticky=$arg_key;
    GET  /fifth        new=20 old=80               sticky=$arg_key;
    GET  /scaled       new=2000 old=8000           sticky=$arg_key;
    GET  /half         new=50 old=50               sticky=$arg_key;
    GET  /whole        new=100 old=0               sticky=$arg_key;
    GET  /two          a=50 b=50                   sticky=$arg_key;
    GET  /third        a=50 b=50 c=50              sticky=$arg_key;
    GET  /variable     new=$arg_n old=90           sticky=$arg_key;
    GET  /rest         old=* new=$arg_n            sticky=$arg_key;
    GET  /rest_drawn   a=30 b=* c=20;
    GET  /text_key     new=10 old=90               sticky=x-$arg_key;
    GET  /region/:id   "$gateway_path_id.a=1" "$gateway_path_id.b=1"
                       sticky=$gateway_path_id;
_EOC_

my $nginx = NgxGatewayNginx->new(http => routes($LINES), server => $server,
                                 workers => 2);

$nginx->start();


sub reloaded {
    my ($name, %options) = @_;

    ok($nginx->reload(%options), $name) or diag($nginx->error_log());

    return;
}


# What is told of each of these URIs, on one connection.

sub told {
    my (@uris) = @_;

    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                       PeerPort => $nginx->port())
                 or die "connect: $!\n";
    my @told;

    local $SIG{ALRM} = sub { die "timeout\n" };
    alarm 60;

    while (my @some = splice @uris, 0, 100) {
        print $socket map { "GET $_ HTTP/1.1\r\nHost: localhost\r\n\r\n" }
                      @some;

        my $text = '';

        until ((() = $text =~ /^X-Told: [^\n]*\n/mg) == @some) {
            sysread $socket, $text, 65536, length $text or die "closed\n";
        }

        push @told, $text =~ /^X-Told: ([^\r\n]*)/mg;
    }

    alarm 0;
    close $socket;

    return @told;
}

sub counts {
    my (@told) = @_;

    my %counts;

    $counts{$_}++ for @told;

    return \%counts;
}

# Whether a share is what it should be, give or take five standard deviations.

sub about {
    my ($counts, $told, $n, $share, $name) = @_;

    my $wanted = $n * $share;
    my $off = 5 * sqrt($n * $share * (1 - $share));
    my $got = $counts->{$told} // 0;

    ok(abs($got - $wanted) <= $off, "$name: $got, about $wanted");

    return;
}

my $N = 4000;

# at random

{
    my $counts = counts(told(('/tenth') x $N));

    is_deeply([ sort keys %$counts ],
              [ 'new, new, random', 'old, old, random' ],
              'at random: a value is kept for the request');
    about($counts, 'new, new, random', $N, 0.1, 'at random: a tenth');

    $counts = counts(told(('/three') x $N));
    about($counts, 'a, a, random', $N, 0.25, 'three: a');
    about($counts, 'b, b, random', $N, 0.5, 'three: b');
    about($counts, 'c, c, random', $N, 0.25, 'three: c');

    $counts = counts(told(('/rest_drawn') x $N));
    about($counts, 'a, a, random', $N, 0.3, 'the rest of 100: a');
    about($counts, 'b, b, random', $N, 0.5, 'the rest of 100: b');

    is_deeply(counts(told(('/none') x 500)), { 'b, b, random' => 500 },
              'a weight of 0');
    is_deeply(counts(told(('/one') x 10)), { 'a, a, ' => 10 },
              'one value is not chosen');
    is_deeply(counts(told(('/text?x=3') x 10)),
              { 'http://a/?x=1, http://a/?x=1, random' => 10 },
              'the weight is what follows the last "="');

    $counts = counts(told(('/huge') x 500));
    cmp_ok($counts->{'a, a, random'}, '>', 490, 'the largest weight');
}

# weights of variables

{
    my $counts = counts(told(('/weights?a=3&b=1') x $N));

    about($counts, 'a, a, random', $N, 0.75, 'weights of variables');

    is_deeply(counts(told(('/weights?a=1&b=0') x 100)),
              { 'a, a, random' => 100 }, 'all for one');
    is_deeply(counts(told(('/weights?a=0&b=0') x 100)),
              { 'b, b, random' => 100 }, 'no weight: the last one');
    is_deeply(counts(told(('/weights3?a=0&b=0') x 100)),
              { 'c, c, random' => 100 }, 'no weight: the last one of three');
    is_deeply(counts(told(('/weights?a=1000000&b=0') x 10)),
              { 'a, a, random' => 10 }, 'the largest one');

    for my $bad ('', 'x', '-1', '1x', '1.5', '1000001', '%31',
                 '99999999999999999999')
    {
        my $before = length $nginx->error_log();

        is_deeply(counts(told(("/weights?a=$bad&b=1") x 20)),
                  { 'b, b, random' => 20 }, "\"$bad\" counts as 0");

        my $log = substr $nginx->error_log(), $before;

        is(scalar(() = $log =~ /\[error\].*invalid weight "\Q$bad\E" of "a"/g),
           20, "\"$bad\" is logged");
    }

    is_deeply(counts(told(('/weights?a=x') x 10)), { 'b, b, random' => 10 },
              'no weight is one: the last one');
}

# keys that stick

my @keys = map { "user-$_" } 1 .. $N;

sub by_key {
    my ($uri) = @_;

    my $and = $uri =~ /\?/ ? '&' : '?';
    my @told = told(map { "$uri${and}key=$_" } @keys);

    is(scalar(grep { /^(\S+), \1, sticky$/ } @told), $N, "$uri: sticky");

    return map { /^([^,]+)/ } @told;
}

sub moved {
    my ($one, $other) = @_;

    my %moved;

    for my $i (0 .. $#$one) {
        $moved{"$one->[$i] to $other->[$i]"}++ if $one->[$i] ne $other->[$i];
    }

    return \%moved;
}

my @tenth = by_key('/sticky');

{
    about(counts(@tenth), 'new', $N, 0.1, 'sticky: a tenth');
    is_deeply([ by_key('/sticky') ], \@tenth, 'the same again');
    is_deeply([ by_key('/turned') ], \@tenth,
              'the order of the values does not matter');

    my @fifth = by_key('/fifth');
    my $moved = moved(\@tenth, \@fifth);

    is_deeply([ keys %$moved ], [ 'old to new' ],
              'from a tenth to a fifth: all go one way');
    about(counts(@fifth), 'new', $N, 0.2, 'a fifth');
    is_deeply([ by_key('/scaled') ], \@fifth,
              'what counts is the ratio of weights');

    my @half = by_key('/half');

    is_deeply([ keys %{ moved(\@fifth, \@half) } ], [ 'old to new' ],
              'from a fifth to a half: all go one way');
    about(counts(@half), 'new', $N, 0.5, 'a half');
    is_deeply(counts(by_key('/whole')), { new => $N }, 'all');

    is_deeply([ by_key('/variable?n=10') ], \@tenth,
              'a weight of a variable: the same');
    is_deeply(counts(by_key('/variable?n=0')), { old => $N },
              'a weight of a variable: 0');

    is_deeply([ by_key('/rest?n=10') ], \@tenth,
              'the rest of 100: the same');
    is_deeply([ by_key('/rest?n=20') ], \@fifth, 'the rest of 100: less');
    is_deeply(counts(by_key('/rest?n=0')), { old => $N },
              'the rest of 100: all');

    for my $n (100, 101, 1000000) {
        is_deeply(counts(by_key("/rest?n=$n")), { new => $N },
                  "nothing is left of 100 by $n");
    }

    is_deeply(counts(map { /^(\w+)/ } told(('/rest?key=a&n=x') x 10)),
              { old => 10 }, 'the rest of 100: what is no weight leaves it');

    my @two = by_key('/two');

    is_deeply([ sort keys %{ moved(\@two, [ by_key('/third') ]) } ],
              [ 'a to c', 'b to c' ], 'a value is added');

    isnt(join(' ', told(map { "/text_key?key=$_" } @keys[0 .. 199])),
         join(' ', told(map { "/sticky?key=$_" } @keys[0 .. 199])),
         'text around a key makes others');
}

# without a key

{
    my $counts = counts(told(('/half?key=') x $N));

    about($counts, 'new, new, random', $N, 0.5, 'an empty key');
    is(scalar keys %$counts, 2, 'an empty key: at random');
}

# captures in a key, and in values

{
    my @told = told(map { "/region/$_" } 1 .. 400);

    is(scalar(grep { my ($i, $told) = ($_, $told[$_ - 1]);
                     $told =~ /^$i\.([ab]), $i\.\1, sticky$/ } 1 .. 400),
       400, 'captures in a key and in values');
    is_deeply([ told(map { "/region/$_" } 1 .. 400) ], \@told,
              'captures in a key: the same again');
}

# reloads, and another nginx

reloaded('a reload');
is_deeply([ by_key('/sticky') ], \@tenth, 'a reload: the same sides');

reloaded('a reload with other weights',
         http => routes($LINES =~ s{(/sticky +)new=10 old=90}
                                   {$1new=20 old=80}r));
is_deeply([ keys %{ moved(\@tenth, [ by_key('/sticky') ]) } ],
          [ 'old to new' ], 'a reload with other weights: only some move');

unlike($nginx->error_log(), qr/\[(?:alert|crit|emerg)\]/,
       'nothing wrong in the log');

$nginx->stop();
$nginx = NgxGatewayNginx->new(http => routes($LINES), server => $server);
$nginx->start();

is_deeply([ by_key('/sticky') ], \@tenth, 'another nginx: the same sides');

# This is the contract with other gateways and later versions: a key's side is
# a matter of the names of the values, the weights and the key alone.

my $sides = join '', map { substr $_, 0, 1 } @tenth[0 .. 63];

is($sides, 'onooooooooooononooooooooooooooonoooooooooooononoooooononoooooooo',
   'the sides of the first keys');

done_testing();
