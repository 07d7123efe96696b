package Bench::Report;

# Results as tables for people and as JSON for programs.

use strict;
use warnings;

use JSON::PP ();
use POSIX ();

use Bench::Process qw(capture read_file);

# Above these a figure is called noisy: the share of the gateway's core that
# others took, and the ratio's spread.
use constant { OTHERS => 0.05, SPREAD => 0.10 };


sub table {
    my ($bench, $results) = @_;
    my $machine = machine($bench);
    my $text = "$machine->{cpu}, kernel $machine->{kernel}, "
        . "$machine->{nginx}, $machine->{openssl}\n"
        . "$bench->{rounds} rounds of $bench->{seconds} s, "
        . "$bench->{connections} connections; CPU time of one worker\n\n"
        . sprintf "%-17s %8s %8s %7s %15s %8s  %s\n", 'case', 'us', 'raw us',
            'ratio', 'min..max', 'req/s', 'what';

    $text .= line($_) for @$results;
    $text .= "\n";
    $text .= target($_) for grep { $_->{target} } @$results;
    $text .= noise_line($_) for @$results;

    return $text;
}


sub line {
    my ($result) = @_;
    my $name = "$result->{module}/$result->{name}";

    return sprintf "%-17s %s: %s\n", $name, $result->{title},
        $result->{skipped} if $result->{skipped};

    return sprintf "%-17s %s: %s\n", $name, $result->{title},
        $result->{text} if $result->{text};

    return sprintf "%-17s %8.2f %8.2f %7.3f %15s %8.0f  %s\n", $name,
        $result->{us}, $result->{raw_us}, $result->{ratio}{median},
        range('%.3f', $result->{ratio}), $result->{rate}, $result->{title};
}


sub target {
    my ($result) = @_;
    my $target = $result->{target};
    my $met = $result->{met} ? 'met' : 'MISSED';
    my $name = "$result->{module}/$result->{name}";
    my $spread = $result->{over} || $result->{ratio} || $result->{spread};

    # a busy machine proves neither
    $met .= ', but the noise is larger than that'
        if noise($result) && $spread->{min} <= $target->{value}
           && $spread->{max} >= $target->{value};

    if ($target->{kind} eq 'ratio') {
        return sprintf "%-17s ratio %.3f; target %.2f: %s\n", $name,
            $result->{ratio}{median}, $target->{value}, $met;
    }

    if ($target->{kind} eq 'verify') {
        return sprintf "%-17s raw + %.2f (%s) x openssl's verify of %.1f us; "
            . "target %.1f: %s\n", $name, $result->{over}{median},
            range('%.2f', $result->{over}), $result->{verify_us},
            $target->{value}, $met;
    }

    return sprintf "%-17s %.0f %s; target %.0f: %s\n", $name,
        $result->{figure}, $result->{unit}, $target->{value}, $met;
}


sub noise {
    my ($result) = @_;
    my @noise = @{ $result->{noise} || [] };
    my $ratio = $result->{ratio} or return @noise;

    push @noise, sprintf 'others took up to %.0f%% of the gateway\'s core',
        $result->{others} * 100 if $result->{others} > OTHERS;
    push @noise, sprintf 'the ratio spreads by %.2f',
        $ratio->{max} - $ratio->{min} if $ratio->{max} - $ratio->{min} > SPREAD;
    push @noise, sprintf 'clock ticks say %.2f of the nanoseconds',
        $result->{clock} if abs($result->{clock} - 1) > 0.05;

    return @noise;
}


sub noise_line {
    my ($result) = @_;
    my @noise = noise($result) or return '';

    return "noise: $result->{module}/$result->{name}: "
        . join(', ', @noise) . "\n";
}


sub range {
    my ($format, $spread) = @_;
    return sprintf "$format..$format", $spread->{min}, $spread->{max};
}


sub machine {
    my ($bench) = @_;
    my ($cpu) = read_file('/proc/cpuinfo') =~ /^model name\s*:\s*(.+)/m;
    my ($openssl) = (capture(undef, 'openssl', 'version'))[1]
        =~ /^(OpenSSL \S+)/;
    my ($nginx) = $bench->{version} =~ m{(nginx/\S+)};

    return { cpu => $cpu || 'unknown cpu', kernel => (POSIX::uname())[2],
             nginx => $nginx || 'unknown nginx',
             openssl => $openssl || 'unknown openssl' };
}


sub json {
    my ($bench, $results) = @_;

    return JSON::PP->new->canonical->pretty->encode({
        date     => POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime),
        machine  => machine($bench),
        settings => { map { $_ => $bench->{$_} + 0 }
                      qw(rounds seconds connections) },
        results  => $results,
    });
}

1;
