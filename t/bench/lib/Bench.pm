package Bench;

# What is measured, and in which order.  t/bench/<module>.pm describes the
# cases of a module: it ends in a sub that takes this object and returns a
# list of groups.  A group's cases share one request, byte for byte:
#
#     name, request    {path, token, bad_token, tokens} or {path, load}, or a
#                      sub returning it
#     raw              the side they are compared with (Bench::Gateway)
#     cases            [{name, title, side, target, needs, commands, optional,
#                      rounds}, ...]
#     openssl          algorithm of `openssl speed` measured in each round
#
# or, for what is not CPU time: name, title and run, a sub returning a result.
#
# target is {ratio => 1.05}, with tolerance where a figure is to be equal, or
# {verify => 1.5}: what the case costs above raw, in openssl verifications.
#
# rounds is the share of all rounds that a case takes part in: 1 for those with
# a target, and 0.6, three of five, for the others.

use strict;
use warnings;

use File::Path qw(make_path remove_tree);

use Bench::Gateway;
use Bench::Measure qw(measure median openssl_verify);
use Bench::Process qw(capture stop_all which);

my $work;
my $failed;
my $owner = $$;

# Configurations and logs of what failed stay, to be looked at.

END {
    if ($work && $$ == $owner && !$failed) {
        my $status = $?;
        stop_all();
        remove_tree($work);
        $? = $status;
    }
}


sub new {
    my ($class, %arg) = @_;
    my $self = bless { %arg }, $class;

    $self->{build} = "$self->{root}/build/bench";
    $self->{nginx} = $ENV{TEST_NGINX_BINARY} || which('nginx')
        || die "bench: no nginx: install it, or set TEST_NGINX_BINARY\n";
    (undef, $self->{version}) = capture(undef, $self->{nginx}, '-V');

    make_path($self->{build});
    return $self;
}


sub modules {
    my ($self) = @_;
    my @modules;

    for my $file (sort glob "$self->{here}/*.pm") {
        my ($name) = $file =~ m{([^/]+)\.pm$};
        my $describe = do $file or die $@ || "bench: $file: $!\n";
        push @modules, [$name, $describe->($self)];
    }
    return @modules;
}


sub list {
    my ($self) = @_;
    my @lines;

    for my $module ($self->modules) {
        my ($name, @groups) = @$module;
        push @lines, map { ["$name/$_->{name}", $_->{title}] }
            map { $_->{cases} ? @{ $_->{cases} } : $_ } @groups;
    }
    return @lines;
}


# Groups with those of their cases that @what names.

sub select {
    my ($self, @what) = @_;
    my (@groups, %found);

    for my $module ($self->modules) {
        my ($name, @all) = @$module;

        for my $group (@all) {
            my @cases = $group->{cases} ? @{ $group->{cases} } : $group;
            my @chosen = grep {
                my $case = $_;
                my @hit = grep { $_ eq 'all' || $_ eq $name
                                 || $_ eq "$name/$case->{name}" } @what;
                $found{$_} = 1 for @hit;
                @hit > 0;
            } @cases;

            next if !@chosen;
            push @groups, $group->{cases}
                ? { %$group, module => $name, cases => \@chosen }
                : { %$group, module => $name };
        }
    }

    for my $name (@what) {
        die "bench: \"$name\" is not in `t/bench/run list`\n"
            if !$found{$name};
    }
    return @groups;
}


sub measure_all {
    my ($self, @what) = @_;
    my @groups = $self->select(@what);

    $self->prepare;

    my @results = eval { map { $self->measure_group($_) } @groups };
    $self->failed if !@results;

    return @results;
}


sub failed {
    my ($self) = @_;
    $failed = 1;
    $self->progress('');
    die $@ . "bench: configurations and logs are in $self->{work}
";
}


# Processors, the backend, and a place for configurations and logs.

sub prepare {
    my ($self) = @_;
    my ($allowed) = Bench::Process::read_file('/proc/self/status')
        =~ /^Cpus_allowed_list:\s*(\S+)/m;
    my @cpus = map { /(\d+)-(\d+)/ ? $1 .. $2 : $_ } split /,/, $allowed;

    for my $tool (qw(wrk taskset openssl)) {
        die "bench: \"$tool\" is not installed\n" if !which($tool);
    }

    @$self{qw(gateway_cpu load_cpu)} = @cpus > 1 ? @cpus : @cpus[0, 0];

    print {*STDERR} "bench: only one processor: gateway, backend and wrk "
        . "share it, and the figures suffer\n" if @cpus < 2;

    $self->{work} = $work = "$self->{build}/work.$$";
    make_path($work);
    $self->{awake} = $self->{asleep} ? [] : [
        'env', 'LD_PRELOAD=' . $self->compiled('awake', '-shared', '-fPIC'),
    ];
    $self->{backend} = Bench::Gateway->backend($self);
    return;
}


# The program made from a source beside this script, by now.

sub compiled {
    my ($self, $name, @flags) = @_;
    my ($source, $program) = ("$self->{here}/$name.c", "$self->{build}/$name");

    return $program
        if -x $program && (stat $program)[9] >= (stat $source)[9];

    my ($status, $text) = capture(undef, $ENV{CC} || 'cc', '-O2', '-o',
        $program, $source, @flags);
    die "bench: $name.c is not compiled:\n$text" if $status != 0;

    return $program;
}


sub measure_group {
    my ($self, $group) = @_;
    my @skipped = map { $self->skipped($group, $_) }
        $group->{cases} ? @{ $group->{cases} } : $group;
    my @cases = grep { !$self->missing($_) } @{ $group->{cases} || [] };

    if ($group->{run}) {
        return @skipped if @skipped;
        $self->progress("$group->{module}/$group->{name}");
        return { module => $group->{module}, name => $group->{name},
                 title => $group->{title}, $group->{run}->() };
    }

    return @skipped if !@cases;

    my $request = $group->{request};
    $request = $request->() if ref $request eq 'CODE';

    my (@raw, %seen, @verify);

    for my $round (1 .. $self->{rounds}) {
        my @now = grep { $round <= $self->rounds_of($_) } @cases;

        next if !@now;

        push @verify, openssl_verify($self, $group->{openssl})
            if $group->{openssl};

        for my $case (@now) {
            $self->progress("$group->{module}/$case->{name}, "
                . "round $round of " . $self->rounds_of($case));
            push @raw, measure($self, 'raw', $group->{raw}, $request);
            push @{ $seen{$case->{name}} },
                { %{ measure($self, $case->{name}, $case->{side}, $request) },
                  before => $#raw, verify => $verify[-1] };
        }
    }

    push @raw, measure($self, 'raw', $group->{raw}, $request);
    $self->progress('');

    my %line = map { $_->{name} => $_ } @skipped,
        map { result($group, $_, \@raw, $seen{$_->{name}}) } @cases;

    return map { $line{$_->{name}} } @{ $group->{cases} };
}


sub rounds_of {
    my ($self, $case) = @_;
    my $share = $case->{rounds} || ($case->{target} ? 1 : 0.6);

    return int($self->{rounds} * $share + 0.5) || 1;
}


# Each measurement is compared with the raw ones before and after it.

sub result {
    my ($group, $case, $raw, $seen) = @_;
    my (@ratio, @over);

    for my $one (@$seen) {
        my $beside = ($raw->[$one->{before}]{us}
                      + $raw->[$one->{before} + 1]{us}) / 2;

        push @ratio, $one->{us} / $beside;
        push @over, ($one->{us} - $beside) / $one->{verify} if $one->{verify};
    }

    my %result = (
        module => $group->{module},
        name   => $case->{name},
        title  => $case->{title},
        us     => median(map { $_->{us} } @$seen),
        raw_us => median(map { $_->{us} } @$raw),
        ratio  => spread(@ratio),
        rate   => median(map { $_->{rate} } @$seen),
        busy   => median(map { $_->{busy} } @$seen),
        others => (sort { $b <=> $a } map { $_->{others} } @$seen, @$raw)[0],
        clock  => median(map { $_->{tick_us} / $_->{us} } @$seen),
    );

    if (@over) {
        $result{verify_us} = median(map { $_->{verify} } @$seen);
        $result{over} = spread(@over);
    }

    return judge(\%result, $case->{target});
}


sub judge {
    my ($result, $target) = @_;

    if ($target && $target->{ratio}) {
        my $most = $target->{ratio} + ($target->{tolerance} || 0);
        $result->{target} = { kind => 'ratio', value => $most };
        $result->{met} = $result->{ratio}{median} <= $most ? 1 : 0;

    } elsif ($target && $target->{verify}) {
        $result->{target} = { kind => 'verify', value => $target->{verify} };
        $result->{met} = $result->{over}{median} <= $target->{verify} ? 1 : 0;
    }
    return $result;
}


sub spread {
    my @sorted = sort { $a <=> $b } @_;
    return { median => median(@sorted), min => $sorted[0],
             max => $sorted[-1], all => [@_] };
}


sub skipped {
    my ($self, $group, $case) = @_;
    my $missing = $self->missing($case) or return;

    return { module => $group->{module}, name => $case->{name},
             title => $case->{title}, required => $case->{optional} ? 0 : 1,
             skipped => $case->{optional} ? "$missing is not installed"
                                          : "$missing is not built" };
}


sub missing {
    my ($self, $case) = @_;
    my ($missing) = (
        (grep { !$self->module_file($_) } @{ $case->{needs} || [] }),
        (grep { !which($_) } @{ $case->{commands} || [] }));
    return $missing;
}


sub module_file {
    my ($self, $name) = @_;
    my ($path) = $self->{version} =~ /--modules-path=(\S+)/;

    my ($file) = grep { -f } map { "$_/$name.so" }
        "$self->{root}/build/modules",
        grep { defined && length } $ENV{BENCH_NGINX_MODULES}, $path,
        '/usr/share/nginx/modules', '/usr/lib/nginx/modules';
    return $file;
}


# The temporary paths that this nginx knows: a compiled-in one may not be
# ours to write.

sub temp_paths {
    my ($self) = @_;
    return 'client_body', grep { $self->{version} !~ /--without-http_${_}_/ }
        qw(proxy fastcgi uwsgi scgi);
}


sub progress {
    my ($self, $text) = @_;
    print {*STDERR} "\r\e[K$text" if -t STDERR;
    return;
}

1;
