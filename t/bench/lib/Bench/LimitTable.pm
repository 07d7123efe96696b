package Bench::LimitTable;

# The limit module's table of buckets without nginx: limit_table.c, compiled
# with the module's own files.

use strict;
use warnings;

use Bench::Process qw(capture);

use constant {
    ROUNDS  => 9,
    SECONDS => 0.25,
    SPEED   => 8_000_000,
    SHARED  => 90,
    KEYS    => 60_000,
};


# groups(bench) returns what limit.pm adds to its own.

sub groups {
    my ($bench) = @_;
    my %case = (
        table => ['the table alone, 100,000 keys', \&speed],
        table_shared => ['likewise, two processes on one zone', \&shared],
        table_keys => ['keys for which 1 MiB has room', \&keys_per_mib],
    );

    return map {
        my ($title, $run) = @{ $case{$_} };

        { name => $_, title => $title, run => sub { $run->($bench) } };
    } sort keys %case;
}


sub speed {
    my ($bench) = @_;
    my $spread = Bench::spread(map { table($bench, 'speed', 1, SECONDS) }
                               1 .. ROUNDS);

    return (
        figure => $spread->{median},
        unit   => 'checks per second and core',
        spread => $spread,
        text   => sprintf('%.1f million checks a second (%.1f..%.1f)',
            map { $spread->{$_} / 1e6 } qw(median min max)),
        target => { kind => 'checks', value => SPEED },
        met    => $spread->{median} >= SPEED ? 1 : 0,
    );
}


# The slower of the two, beside one that is alone right before.

sub shared {
    my ($bench) = @_;
    my @per_cent;

    for (1 .. ROUNDS) {
        my ($alone) = table($bench, 'speed', 1, SECONDS);
        my ($slower) = sort { $a <=> $b } table($bench, 'speed', 2, SECONDS);

        push @per_cent, 100 * $slower / $alone;
    }

    my $spread = Bench::spread(@per_cent);

    return (
        figure => $spread->{median},
        unit   => '% of one process alone',
        spread => $spread,
        text   => sprintf('%.0f%% of one alone, the slower one (%.0f..%.0f)',
            map { $spread->{$_} } qw(median min max)),
        target => { kind => 'per cent', value => SHARED },
        met    => $spread->{median} >= SHARED ? 1 : 0,
    );
}


sub keys_per_mib {
    my ($bench) = @_;
    my ($room, @kept) = table($bench, 'keys');

    return (
        figure => $room,
        unit   => 'keys',
        spread => Bench::spread($room),
        text   => sprintf('%d; alive at once, half of these: %.1f%% are kept, '
            . 'three quarters: %.1f%%, all: %.1f%%', $room,
            map { 100 * $_ } @kept),
        target => { kind => 'keys', value => KEYS },
        met    => $room >= KEYS ? 1 : 0,
    );
}


sub table {
    my ($bench, @arguments) = @_;
    my ($status, $text) = capture(undef, program($bench), @arguments);

    die "bench: limit_table @arguments:\n$text" if $status != 0;

    return split /\n/, $text;
}


# Compiled anew when something of it has changed, with nginx's options.

sub program {
    my ($bench) = @_;
    my $nginx = "$bench->{root}/build/nginx";
    my $limit = "$bench->{root}/modules/limit";
    my $program = "$bench->{build}/limit_table";

    my @sources = ("$bench->{here}/limit_table.c",
        map { "$limit/ngx_http_gateway_limit_$_.c" } qw(table hash));
    my $newest = (sort { $b <=> $a } map { (stat $_)[9] } @sources,
                  "$limit/ngx_http_gateway_limit_table.h")[0];

    return $program if -x $program && (stat $program)[9] >= $newest;

    my ($status, $text) = capture(undef, $ENV{CC} || 'cc',
        qw(-O2 -fPIC -fstack-protector-strong -D_GNU_SOURCE),
        "-I$limit", "-I$nginx/objs",
        (map { "-I$nginx/src/$_" } qw(core event event/modules os/unix)),
        '-o', $program, @sources);
    die "bench: limit_table.c is not compiled:\n$text" if $status != 0;

    return $program;
}

1;
