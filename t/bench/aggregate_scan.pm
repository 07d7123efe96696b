# The aggregate module's scanner of JSON without nginx: aggregate_scan.c,
# compiled with the module's own file.

package Bench::AggregateScan;

use strict;
use warnings;

use Bench::Process qw(capture);

use constant {
    ROUNDS  => 7,
    SECONDS => 0.1,
    SPEED   => 1500,
    TIMES   => 8,
};

# [name, title, whether there is a target in MB a second]

my @kinds = (
    ['compact', 'orders, without white space', 1],
    ['pretty', 'the same, indented', 1],
    ['utf8', 'the same, with words outside of ASCII', 0],
    ['numbers', 'mostly numbers', 1],
);

my $bench;
my %seen;


sub speed {
    my ($kind, $has_target) = @_;
    my $seen = measured($kind);
    my ($spread, $portable) = map { Bench::spread(@{ $seen->{$_} }) }
        qw(scan portable);

    return (
        figure => $spread->{median},
        unit   => 'MB per second and core',
        spread => $spread,
        text   => sprintf('%.2f GB/s (%.2f..%.2f), without SSE2 %.2f; '
            . 'texts of %d KB', (map { $spread->{$_} / 1e3 }
                                     qw(median min max)),
            $portable->{median} / 1e3, $seen->{size} / 1e3),
        $has_target ? (
            target => { kind => 'MB/s', value => SPEED },
            met    => $spread->{median} >= SPEED ? 1 : 0,
        ) : (),
    );
}


sub beside_jansson {
    my ($kind) = @_;
    my $seen = measured($kind);
    my $spread = Bench::spread(map {
        $seen->{scan}[$_] / $seen->{jansson}[$_]
    } 0 .. ROUNDS - 1);

    return (
        figure => $spread->{median},
        unit   => 'x json_loadb()',
        spread => $spread,
        text   => sprintf('%.1f x json_loadb() (%.1f..%.1f), which does '
            . '%.0f MB/s', (map { $spread->{$_} } qw(median min max)),
            Bench::spread(@{ $seen->{jansson} })->{median}),
        target => { kind => 'times', value => TIMES },
        met    => $spread->{median} >= TIMES ? 1 : 0,
    );
}


# Both in turn, so that what else the machine does is in both.

sub measured {
    my ($kind) = @_;

    return $seen{$kind} if $seen{$kind};

    my $sse2 = program('aggregate_scan');
    my $portable = program('aggregate_scan_portable',
        '-DNGX_HTTP_GATEWAY_AGGREGATE_NO_SSE2=1');
    my %rates;

    for (1 .. ROUNDS) {
        my ($scan, $jansson, $size) = rates($sse2, $kind);

        push @{ $rates{scan} }, $scan / 1e6;
        push @{ $rates{jansson} }, $jansson / 1e6;
        push @{ $rates{portable} }, (rates($portable, $kind))[0] / 1e6;

        $rates{size} = $size;
    }

    return $seen{$kind} = \%rates;
}


sub rates {
    my ($program, $kind) = @_;
    my ($status, $text) = capture($bench->{gateway_cpu}, $program, $kind,
        SECONDS);

    die "bench: aggregate_scan $kind:\n$text" if $status != 0;

    return split /\n/, $text;
}


# Compiled anew when something of it has changed, with nginx's options.

sub program {
    my ($name, @options) = @_;
    my $nginx = "$bench->{root}/build/nginx";
    my $common = "$bench->{root}/modules/common";
    my $program = "$bench->{build}/$name";

    my @sources = ("$bench->{here}/aggregate_scan.c",
        "$common/ngx_http_gateway_json_scan.c");
    my $newest = (sort { $b <=> $a } map { (stat $_)[9] } @sources,
                  "$common/ngx_http_gateway_json_scan.h")[0];

    return $program if -x $program && (stat $program)[9] >= $newest;

    my ($status, $text) = capture(undef, $ENV{CC} || 'cc',
        qw(-O2 -fPIC -fstack-protector-strong -D_GNU_SOURCE), @options,
        "-I$common", "-I$nginx/objs",
        (map { "-I$nginx/src/$_" } qw(core event event/modules os/unix)),
        '-o', $program, @sources, '-ljansson');
    die "bench: aggregate_scan.c is not compiled:\n$text" if $status != 0;

    return $program;
}


sub {
    ($bench) = @_;

    return map {
        my ($kind, $title, $has_target) = @$_;

        ({ name => $kind, title => $title,
           run => sub { speed($kind, $has_target) } },
         { name => "${kind}_dom", title => "$title, beside jansson",
           run => sub { beside_jansson($kind) } });
    } @kinds;
};
