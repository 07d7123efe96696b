package Bench::RouteLookup;

# The table of routes without nginx: route_lookup.c, compiled with the module's
# own files.

use strict;
use warnings;

use Bench::Process qw(capture);

use constant {
    ROUNDS => 7,
    REPEAT => 5,
    LOOKUP => 250,
    MILLIS => 200,
    MEMORY => 10,
};

my %kind = (
    few     => 'a lookup among 10 routes',
    many    => 'a lookup among 10,000 routes of a REST API',
    unknown => 'likewise, of what has no route',
    below   => 'likewise, of what is below a route',
    method  => 'likewise, of a method that no route takes',
    map     => "nginx's map with 1,000 regexes",
);

my %load = (
    rest      => '10,000 routes of a REST API',
    regex     => '10,000 routes with a regex each',
    host      => '10,000 hosts',
    condition => '10,000 conditions at one place',
);

my %seen;


# groups(bench) returns what route.pm adds to its own.

sub groups {
    my ($bench) = @_;

    return ((map {
        my $kind = $_;

        { name => "lookup_$kind", title => $kind{$kind},
          run => sub { speed($bench, $kind) } };
    } qw(many few unknown below method map)), map {
        my $kind = $_;

        { name => "load_$kind", title => "loading $load{$kind}",
          run => sub { load($bench, $kind) } };
    } qw(rest regex host condition));
}


sub speed {
    my ($bench, $kind) = @_;
    my $spread = Bench::spread(@{ measured($bench)->{$kind} });

    return (
        figure => $spread->{median},
        unit   => 'ns',
        spread => $spread,
        text   => sprintf('%.0f ns (%.0f..%.0f)',
            map { $spread->{$_} } qw(median min max)),
        $kind eq 'many' ? (
            target => { kind => 'ns', value => LOOKUP },
            met    => $spread->{median} <= LOOKUP ? 1 : 0,
        ) : (),
    );
}


# All kinds in one run, several times, so that what else the machine does is
# in all of them.

sub measured {
    my ($bench) = @_;

    return $seen{speed} if $seen{speed};

    for (1 .. REPEAT) {
        my %ns = map { split } asked($bench, 'speed', ROUNDS);

        push @{ $seen{speed}{$_} }, $ns{$_} for keys %ns;
    }

    return $seen{speed};
}


sub load {
    my ($bench, $kind) = @_;

    if (!$seen{load}) {
        for (1 .. REPEAT) {
            for my $line (asked($bench, 'load')) {
                my ($name, $ms, $bytes) = split ' ', $line;

                push @{ $seen{load}{$name}{ms} }, $ms;
                $seen{load}{$name}{mb} = $bytes / 1e6;
            }
        }
    }

    my $one = $seen{load}{$kind};
    my $spread = Bench::spread(@{ $one->{ms} });
    my $met = $spread->{median} <= MILLIS && $one->{mb} <= MEMORY;

    return (
        figure => $spread->{median},
        unit   => sprintf('ms, %.1f MB (of %d)', $one->{mb}, MEMORY),
        spread => $spread,
        text   => sprintf('%.0f ms (%.0f..%.0f), %.1f MB',
            (map { $spread->{$_} } qw(median min max)), $one->{mb}),
        $kind eq 'rest' ? (
            target => { kind => 'ms', value => MILLIS },
            met    => $met ? 1 : 0,
        ) : (),
    );
}


sub asked {
    my ($bench, @arguments) = @_;
    my ($status, $text) = capture($bench->{gateway_cpu}, program($bench),
        @arguments);

    die "bench: route_lookup @arguments:\n$text" if $status != 0;

    return split /\n/, $text;
}


# Compiled anew when something of it has changed, with nginx's options and, of
# the source that "make deps" gets, its pools, strings and regexes.

sub program {
    my ($bench) = @_;
    my $root = $bench->{root};
    my $objs = "$root/build/nginx/objs";
    my ($nginx) = glob "$root/build/src/nginx-*/src";
    my $program = "$bench->{build}/route_lookup";

    die "bench: there is no source of nginx in build/src: run \"make deps "
        . "FOR=bench\"\n" if !$nginx;

    my @sources = ("$bench->{here}/route_lookup.c", "$root/t/route/tree/core.c",
        (map { "$root/modules/route/ngx_http_gateway_route_$_.c" }
            qw(table tree build hosts order regex template)),
        map { "$nginx/core/ngx_$_.c" }
            qw(array list murmurhash palloc rbtree regex string));
    my $newest = (sort { $b <=> $a } map { (stat $_)[9] } @sources,
                  glob("$root/modules/route/*.h"))[0];

    return $program if -x $program && (stat $program)[9] >= $newest;

    my ($status, $text) = capture(undef, $ENV{CC} || 'cc',
        qw(-O2 -fPIC -fstack-protector-strong -D_GNU_SOURCE),
        "-I$root/t/route/tree", "-I$root/modules/route",
        "-I$root/modules/common", "-I$objs",
        (map { "-I$nginx/$_" } qw(core event event/modules os/unix)),
        '-o', $program, @sources, '-lpcre2-8');
    die "bench: route_lookup.c is not compiled:\n$text" if $status != 0;

    return $program;
}

1;
