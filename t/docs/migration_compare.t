#!/usr/bin/perl

# conf.example/migration/compare, by logs as nginx writes them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use NgxGatewayDocs;
use Test::More;

my $dir = work_dir();
my ($access, $shadow) = ("$dir/access.log", "$dir/shadow.log");

# id, route, URI, and what the monolith's attempts were

my @requests = (
    [ 'a1', '/a/**', '/a/1', '200', '0.010' ],
    [ 'a2', '/a/**', '/a/2', '502, 200', '0.001, 0.300' ],
    [ 'a3', '/a/**', '/a/\u001b\"},{', '404', '0.030' ],
    [ 'a4', '/a/**', '/a/4', '200', '0.020' ],
    [ 'gone', '/a/**', '/a/5', '', '' ],
    [ 'alone', '/a/**', '/a/6', '200', '9.000' ],
    [ 'b1', '/b/:id({2},\"x\")', '/b/1', '200', '0.000' ],
);

spew($access, join '', map {
    sprintf '{"request_id":"%s","method":"GET","route":"%s","uri":"%s",'
            . '"status":200,"upstream_status":"%s","upstream_seconds":"%s"}'
            . "\n", @$_[0, 1, 2, 3, 4]
} @requests);

my %answers = (a1 => '200', a2 => '200', a3 => '500', a4 => '200',
               gone => '200', b1 => '504', other => '200');

spew($shadow, join '', map {
    qq({"request_id":"$_","status":"$answers{$_}","seconds":"0.005"}\n)
} sort keys %answers);

is(compare(), <<'END', 'what both have answered');
route                   both    same   monolith    service
/a/**                      4       3    0.030 s    0.005 s
/b/:id({2},\"x\")          1       0    0.000 s    0.005 s

monolith  service   request
404       500       GET /a/\u001b\"},{  a3
200       504       GET /b/1  b1
END

# a line that is being written

spew($access, slurp($access) . '{"request_id":"a1","meth');
spew($shadow, slurp($shadow) . '{"request_id":"al');

like(compare(), qr/^\/a\/\*\* +4 +3 /m, 'half a line is none');

# many that differ

spew($access, join '', map {
    qq({"request_id":"$_","method":"GET","route":"/","uri":"/$_",)
    . qq("upstream_status":"200","upstream_seconds":"0.001"}\n)
} 1 .. 50);
spew($shadow, join '', map {
    qq({"request_id":"$_","status":"404","seconds":"-"}\n)
} 1 .. 50);

my $answer = compare();

is(scalar(() = $answer =~ /^200       404 /mg), 20, 'twenty are shown');
like($answer, qr/^200       404       GET \/20  20\nand 30 more\n\z/m,
     'and how many there are');
like($answer, qr/^\/ +50 +0    0\.001 s    0\.000 s$/m, 'without times');

done_testing();


sub compare {
    open my $out, '-|', $^X, "$ROOT/conf.example/migration/compare", $access,
                        $shadow or die "perl: $!\n";

    local $/;

    return scalar <$out>;
}
