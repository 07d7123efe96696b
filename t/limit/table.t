#!/usr/bin/perl

# The table of buckets by itself, without nginx: all interleavings of two and
# three threads, stress with threads and with processes that are killed, and
# the hash.  The programs are in table/.
#
# Controls: tables that were made wrong on purpose have to be found wrong.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Cwd qw( realpath );
use NgxGatewayProgram qw( nginx run mutated slurp spew $work );

use Test::More;

my $root = realpath("$FindBin::Bin/../..");
my $here = "$root/t/limit/table";
my $limit = "$root/modules/limit";
my $table = "$limit/ngx_http_gateway_limit_table.c";
my $hash = "$limit/ngx_http_gateway_limit_hash.c";
my $cc = $ENV{CC} || 'gcc';

my $nginx = nginx();

plan skip_all => 'no nginx is configured in build/ ("make")' if !$nginx;

my @cflags = (qw( -W -Wall -Werror -Wno-unused-parameter -D_GNU_SOURCE ),
    map { "-I$_" } "$nginx/objs", $here, $limit,
    map { "$nginx/src/$_" } qw( core event event/modules os/unix ));


# All interleavings; a set of three entries and of eight, as it is

for my $ways (3, 8) {
    my $output = explored("explore$ways", '-O2', "$here/scenarios.c",
                          "$here/states.c",
                          "-DNGX_HTTP_GATEWAY_LIMIT_WAYS=$ways");

    my @lines = grep { /^(?:not )?ok / } split /\n/, $output;
    my @wrong = grep { !/^ok / } @lines;

    ok @lines > 20 && !@wrong, "all interleavings, $ways entries in a set"
        or diag $output;

    my ($states, $schedules) = (0, 0);

    for (@lines) {
        my ($n, $m) = / (\d+) states, (\S+) schedules / or next;
        $states += $n;
        $schedules += $m;
    }

    note $output;
    diag sprintf '%d scenarios, %d entries in a set: %.2g schedules '
        . 'in %d states', scalar @lines, $ways, $schedules, $states;
}


# What is to be found: [what, pattern, replacement]

my @mutations = (
    ['the least recent debt is not what is taken over',
     qr/time < look->time/, 'time > look->time'],

    ['a new key begins with a full bucket',
     qr/(?=    return look\.entry;\n\})/, "    look.entry->time = 0;\n"],

    ['a full set is evicted from, whatever is asked',
     qr/request->on_full != NGX_HTTP_GATEWAY_LIMIT_EVICT/, '0'],

    ['a live bucket is as good as an expired one',
     qr/look\.time > request->now;/, '0;'],

    ['an idle bucket fills beyond its burst',
     qr/base = ngx_max\(time, request->now\)/, 'base = time'],

    ['one token more than the burst',
     qr/late > request->delay\)/, 'late > request->delay + request->charge)'],

    ['what is charged is not what was decided',
     qr/cas\(&entry->time, \(uint64_t\) time,/,
     'cas(&entry->time, entry->time,'],

    ['a refund does not look whose entry it is',
     qr/ngx_http_gateway_limit_load\(&entry->tag\) != request->hash/, '0'],

    ['a refund gives back what has come back',
     qr/ngx_min\(request->charge, request->now \+ result->debt - now\)/,
     'request->charge'],

    ['a refund that meets a charge is lost',
     qr/ngx_http_gateway_limit_add\(&entry->time, -back\)/,
     'ngx_http_gateway_limit_cas(&entry->time, '
     . 'ngx_http_gateway_limit_load(&entry->time), entry->time - back)'],

    ['a look into a bucket leaves out who would be evicted',
     qr/time = look\.time;/, 'time = request->now;'],
);

my @small = (compiled('scenarios.o', '-c', "$here/scenarios.c"),
             compiled('states.o', '-c', "$here/states.c"),
             '-DNGX_HTTP_GATEWAY_LIMIT_WAYS=2');

mutated(slurp($table), sub {
    my ($file) = @_;
    my $output = explored('mutation', @small, "-DEXPLORE_TABLE=\"$file\"");

    return $output =~ /^not ok /m;
}, @mutations);

like explored('store', @small, '-DEXPLORE_STORE'),
    qr/^not ok last-token\b/m, 'control: a store for compare-and-swap is found';


# Stress

my $stress = compiled('stress', '-O2', "$here/stress.c", $table, $hash,
                      '-lpthread');

for my $run ('threads busy 300', 'processes busy 300', 'threads scan 300',
             'processes scan 300', 'processes kill 500')
{
    my ($status, $output) = run($stress, split / /, $run);

    is $status, 0, "stress: $run" or diag $output;
    note $output;
}

(my $stored = slurp($table)) =~ s/
    \#define\ ngx_http_gateway_limit_cas.*?ngx_atomic_cmp_set\(p,\ old,\ set\)
    /#define ngx_http_gateway_limit_cas(p, old, set) (*(p) = (set), 1)/xs
    or die 'no compare-and-swap to replace';

spew("$work/stored.c", $stored);

$stress = compiled('stored', '-O2', "$here/stress.c", "$work/stored.c",
                   $hash, '-lpthread');

# how often two meet is a matter of who else uses the processors

my $found;

for (1 .. 10) {
    last if $found;
    $found = (run($stress, qw( threads busy 200 )))[0] == 1;
}

ok $found, 'control: a store for compare-and-swap is found';


# The hash

my ($status, $output) = run(compiled('hash', "$here/hash.c", $hash, '-lm'));

is $status, 0, 'SipHash-2-4, and even sets' or diag $output;
note $output;

done_testing();


sub explored {
    my ($name, @arguments) = @_;

    my @hasty = $name =~ /^explore/ ? () : '-f';
    my ($status, $output) = run(compiled($name, "$here/explore.c",
                                         @arguments), @hasty);
    die "$name: $output" if $status > 1;

    return $output;
}


sub compiled {
    my ($name, @arguments) = @_;
    my ($status, $output) = run($cc, @cflags, '-o', "$work/$name",
                                @arguments);

    die "$name is not compiled:\n$output" if $status != 0;

    return "$work/$name";
}
