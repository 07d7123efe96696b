package Bench::Profile;

# Instructions per request, by callgrind: the same from run to run to well
# under a per cent, on a busy machine too.
#
# A single-process gateway serves a few requests and stops, another serves
# more: the difference is the requests alone, without start and end.

use strict;
use warnings;

use Bench::Client;
use Bench::Gateway;
use Bench::Measure;
use Bench::Process qw(which);

use constant {
    FEW   => 200,
    LINES => 25,
    OURS  => qr/\bngx_http_gateway_\w+_module\.so/,
};


sub profile {
    my ($bench, $name) = @_;
    my ($group) = $bench->select($name);

    die "bench: valgrind is not installed\n" if !which('valgrind');
    die "bench: \"$name\" is not one case with a request\n"
        if !$group->{cases} || @{ $group->{cases} } != 1;

    my $case = $group->{cases}[0];
    my $missing = $bench->missing($case);
    die "bench: $missing.so is not there\n" if $missing;

    $bench->prepare;

    my $text = eval {
        my $request = $group->{request};
        $request = $request->() if ref $request eq 'CODE';

        my $raw = per_request($bench, 'raw', $group->{raw}, $request);
        my $own = per_request($bench, $case->{name}, $case->{side}, $request);
        report($bench, $name, $raw, $own);
    };
    $bench->failed if !defined $text;

    return $text;
}


sub per_request {
    my ($bench, $name, $side, $request) = @_;

    $request = $side->{request} if $side->{request};

    my $few = counted($bench, "$name-few", $side, $request, FEW);
    my $more = counted($bench, "$name-more", $side, $request,
        FEW + $bench->{requests});
    my %each;

    for my $kind (keys %$more) {
        for my $key (keys %{ $more->{$kind} }) {
            $each{$kind}{$key} = ($more->{$kind}{$key}
                - ($few->{$kind}{$key} || 0)) / $bench->{requests};
        }
    }
    return \%each;
}


sub counted {
    my ($bench, $name, $side, $request, $requests) = @_;
    my @tokens = $request->{token};

    if ($request->{tokens}) {
        @tokens = split /\n/, Bench::Process::read_file($request->{tokens});
    }

    # so many as the shorter run has already brought into the cache
    splice @tokens, FEW if $side->{fill} && @tokens > FEW;

    $bench->progress("callgrind, $name: $requests requests");

    my $out = "$bench->{work}/callgrind.$name";
    my $gateway = Bench::Gateway->gateway($bench, $name, $side, wait => 60,
        single => 1,
        prefix => ['valgrind', '--tool=callgrind', '--compress-strings=no',
                   '--compress-pos=no', "--callgrind-out-file=$out"]);

    Bench::Measure::check($gateway, $side, $request);

    send_all($gateway, $request, $requests, @tokens);

    $gateway->stop_it('TERM');
    $bench->progress('');
    return totals($out);
}


# One after the other.

sub send_all {
    my ($gateway, $request, $requests, @tokens) = @_;

    return $request->{load}->($gateway, $requests, 1) if $request->{load};

    my $client = Bench::Client->new($gateway->{port});

    for my $i (1 .. $requests) {
        my $status = $client->get($request->{path}, $tokens[$i % @tokens]);
        die "bench: $gateway->{name}: a request was answered $status\n"
            if $status != 200;
    }
    return;
}


# Sums of a callgrind.out file: self and inclusive by function, self by object,
# and what functions outside the module cost when the module calls them.
# A callee is in the caller's object unless a cob= line says otherwise.

sub totals {
    my ($file) = @_;
    my (%sum, $function, $called, $callee);
    my ($object, $callee_object) = ('', '');

    open my $in, '<', $file
        or die "bench: callgrind left no $file: see its out.log\n";

    while (my $line = <$in>) {
        if ($line =~ /^ob=(.*)/) {
            $object = short($1);

        } elsif ($line =~ /^fn=(.*)/) {
            $function = "$1 [$object]";
            $callee_object = $object;

        } elsif ($line =~ /^cob=(.*)/) {
            $callee_object = short($1);

        } elsif ($line =~ /^cfn=(.*)/) {
            $callee = "$1 [$callee_object]";
            $callee_object = $object;

        } elsif ($line =~ /^calls=(\d+)/) {
            $called = 1;

        } elsif ($line =~ /^\d+ (\d+)$/) {
            my $cost = $1;

            $sum{inclusive}{$function} += $cost;

            if ($called) {
                $sum{callee}{$callee} += $cost
                    if $object =~ OURS && $callee !~ OURS;
                $called = 0;
                next;
            }

            $sum{self}{$function} += $cost;
            $sum{object}{$object} += $cost;
            $sum{all}{instructions} += $cost;
        }
    }
    return \%sum;
}


sub short {
    my ($path) = @_;
    my ($name) = $path =~ m{([^/]+)$};
    return defined $name ? $name : $path;
}


sub report {
    my ($bench, $name, $raw, $own) = @_;
    my ($before, $after) = map { $_->{all}{instructions} } $raw, $own;

    my $text = sprintf "%s: %.0f instructions for each request, raw %.0f, "
        . "difference %.0f, ratio %.3f\n", $name, $after, $before,
        $after - $before, $after / $before;

    $text .= section('by object', 'object', $raw, $own);
    $text .= section('where the difference is, by function', 'self', $raw,
        $own);

    my @ours = sort { $own->{inclusive}{$b} <=> $own->{inclusive}{$a} }
        grep { $_ =~ OURS && $own->{inclusive}{$_} >= 1 }
        keys %{ $own->{inclusive} };

    return $text if !@ours;

    my $callee = $own->{callee};
    my @called = sort { $callee->{$b} <=> $callee->{$a} }
        grep { $callee->{$_} >= 1 } keys %$callee;

    return $text . sprintf("\nfunctions of the module\n%10s %10s\n",
            'with calls', 'self')
        . join('', map { sprintf "%10.0f %10.0f  %s\n", $own->{inclusive}{$_},
                         $own->{self}{$_} || 0, $_ } first(@ours))
        . "\nwhat they call outside the module\n"
        . join '', map { sprintf "%10.0f %10s  %s\n", $callee->{$_}, '', $_ }
          first(@called);
}


sub section {
    my ($title, $kind, $raw, $own) = @_;
    my %gain = map { $_ => ($own->{$kind}{$_} || 0) - ($raw->{$kind}{$_} || 0) }
        keys %{ $own->{$kind} }, keys %{ $raw->{$kind} };

    return sprintf("\n%s\n%10s %10s %10s\n", $title, 'more', 'case', 'raw')
        . join '', map { sprintf "%10.0f %10.0f %10.0f  %s\n", $gain{$_},
                         $own->{$kind}{$_} || 0, $raw->{$kind}{$_} || 0, $_ }
          first(sort { $gain{$b} <=> $gain{$a} || $a cmp $b }
                grep { abs $gain{$_} >= 1 } keys %gain);
}


sub first {
    return @_ > LINES ? @_[0 .. LINES - 1] : @_;
}

1;
