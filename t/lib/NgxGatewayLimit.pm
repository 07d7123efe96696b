package NgxGatewayLimit;

# What the suites of t/limit have in common, on top of Test::Nginx::Socket.
# To be used before it, and that with "no_plan".
#
# Sections of a block beside those of Test::Nginx:
#
#   --- zone       parameters of the zone "z", which is keyed by the header
#                  X-Key; rate=1r/h burst=2 when not given
#   --- zones      lines of the http block instead
#   --- limit      lines of the location /t; gateway_limit zone=z; when not
#                  given
#   --- locations eval
#                  a list of NAME => LINES: more locations like /t, called
#                  /NAME, with these lines in them
#   --- server     lines of the server block before the locations
#   --- requests eval
#                  a list of [ "what is tried", KEY, STATUS, %more ], each a
#                  request to /t and all that its answer must be.  KEY is
#                  undef for no X-Key.  STATUS is that of
#                  $gateway_limit_status, "" for one that is not limited, or
#                  "error".  More: at (NAME of the location), request, send
#                  (headers), zone (the deciding one), left (what it has),
#                  r (the same, and the RateLimit field says so), code, body,
#                  response (headers: a pattern, or undef for none), served
#                  (whether the backend is reached), pause, the seconds before
#                  the next request, and log: patterns of all lines that the
#                  module has logged; without it, of those above [notice].
#                  access: a pattern for its line in the access log, which
#                  begins with "$http_x_run.$http_x_row "
#   --- emerg eval
#                  a list of patterns that one line of the error log, an
#                  [emerg], must match: nginx does not start
#
# Keys are others in each repetition of a block, so that all buckets are full.
# Locations pass what they let through to /backend of the same server; after
# the last request, the backend must have seen as many as were let through.

use strict;
use warnings;

BEGIN {
    # Test::Nginx sleeps three of these before each look at the error log

    if (!$ENV{TEST_NGINX_USE_VALGRIND}) {
        $ENV{TEST_NGINX_SLEEP} //= 0.002;
    }
}

use Time::HiRes ();

use base 'Exporter';

our @EXPORT = qw( run_blocks key problem seconds fields );

our $TITLE = 'Request cannot be satisfied as assigned quota has been exceeded';
our $TYPE = 'https://iana.org/assignments/http-problem-types#quota-exceeded';

# a repetition of a block; the row whose headers were made last; how far the
# error log has been read

my ($run, $row, $read) = (0, 1, 0);


# functions for "eval" sections, which Test::Base runs in a package of its own

sub import {
    my ($class) = @_;

    $class->export_to_level(1, @_);

    require Test::Base::Filter;

    for my $name (@EXPORT) {
        no strict 'refs';
        no warnings 'redefine';
        *{"Test::Base::Filter::$name"} = \&{"${class}::$name"};
    }

    return;
}


# The headers of a row, made when they are sent.  All of a repetition's are
# made together, the first one first.

package NgxGatewayLimit::Headers {
    use overload '""' => sub { $_[0]->make() }, 'bool' => sub { 1 },
                 fallback => 1;

    sub make {
        my ($self) = @_;

        if ($self->{row} <= $row) {
            $run++;
            $read = -s $Test::Nginx::Util::ErrLogFile;
        }

        $row = $self->{row};

        my $headers = "X-Run: $run\nX-Row: $row\n";

        if (defined $self->{key}) {
            $headers .= "X-Key: $run-$self->{key}\n";
        }

        my $send = $self->{send} // '';
        $send =~ s/%RUN%/$run/g;

        return "$headers$send\n";
    }
}


# The same for a block that has no "requests": what to send with a request,
# the first of which has the number 1.

sub key {
    my ($number, $key, $send) = @_;

    return bless { row => $number, key => $key, send => $send },
                 'NgxGatewayLimit::Headers';
}


# What is refused by these zones is told.

sub problem {
    my ($zone, $status) = @_;

    $status //= 429;

    return qr/\A\{"type":"\Q$TYPE\E","title":"\Q$TITLE\E",
              "status":$status,"detail":"too[ ]many[ ]requests",
              "instance":"[0-9a-f]{32}",
              "violated-policies":\["\Q$zone\E"\]\}\n\z/x;
}


# A pattern for a number of seconds, some of which may have gone by.

sub seconds {
    my ($most) = @_;

    my $least = $most > 60 ? $most - 60 : $most > 0 ? 1 : 0;

    return '(?:' . join('|', reverse $least .. $most) . ')';
}


# A pattern for the RateLimit field; a list of [ NAME, TOKENS, SECONDS ].

sub fields {
    return join ', ', map { "\"$_->[0]\";r=$_->[1];t=" . seconds($_->[2]) } @_;
}


# Makes Test::Nginx's sections of ours, then runs all.

sub run_blocks {
    Test::Nginx::Util::no_long_string();
    Test::Nginx::Util::log_level('info');
    Test::Nginx::Util::repeat_each(2);

    _complete($_) for Test::Base::blocks();

    Test::Nginx::Socket::add_response_body_check(\&_check);
    Test::Nginx::Util::run_tests();

    return;
}


sub _complete {
    my ($block) = @_;

    my $name = $block->name;

    # Test::Base makes an error in an "eval" section the section's value

    for my $section (qw( requests emerg locations )) {
        my $value = _get($block, $section);

        if (defined $value && !ref $value) {
            die "$name: $section: $value\n";
        }
    }

    if (!defined _get($block, 'http_config')) {
        my $zone = _get($block, 'zone') // 'rate=1r/h burst=2';
        chomp $zone;

        _set($block, http_config => _get($block, 'zones') //
             "gateway_limit_zone \$http_x_key zone=z:64k $zone;\n");
    }

    if (!defined _get($block, 'config')) {
        _set($block, config => _config($block));
    }

    if (defined _get($block, 'emerg')) {
        my $all = join '', map { "(?=.*$_)" } @{ _get($block, 'emerg') };

        _set($block, must_die => '');
        _set($block, suppress_stderr => '');
        _set($block, error_log => [ '[emerg]', qr/\[emerg\]$all/s ]);
        _set($block, no_error_log => [ '[alert]', '[crit]' ])
            if !defined _get($block, 'no_error_log');
    }

    if (defined _get($block, 'requests')) {
        _requests($block);
    }

    if (!defined _get($block, 'no_error_log')) {
        _set($block, no_error_log => [ '[crit]', '[alert]', '[emerg]' ]);
    }

    return;
}


sub _config {
    my ($block) = @_;

    my @locations = (t => _get($block, 'limit') // 'gateway_limit zone=z;',
                     @{ _get($block, 'locations') // [] });

    my $config = (_get($block, 'server') // '') . "\n";

    while (@locations) {
        my ($name, $lines) = splice @locations, 0, 2;
        my $url = 'http://127.0.0.1:$TEST_NGINX_SERVER_PORT'
                  . '/backend/$http_x_run';

        $lines .= "\nproxy_pass $url;" if $lines !~ /^proxy_pass/m;

        $config .= <<"_EOC_";
        location = /$name {
            add_header X-Status \$gateway_limit_status always;
            add_header X-Zone \$gateway_limit_zone always;
            add_header X-Remaining \$gateway_limit_remaining always;
            $lines
        }

_EOC_
    }

    return $config . <<"_EOC_";
        location /backend/ {
            return 200 "backend\\n";
        }
_EOC_
}


sub _requests {
    my ($block) = @_;

    my (@requests, @headers, @codes, @want, @checks);
    my $served = 0;

    for my $n (0 .. $#{ _get($block, 'requests') }) {
        my ($name, $key, $status, %o) = @{ _get($block, 'requests')->[$n] };

        my $code = $o{code} // ($status eq 'rejected' ? 429
                                : $status eq 'error' ? 500 : 200);
        my $zone = $o{zone} // 'z';
        my $left = $o{left} // $o{r} // '\d+';
        my $limited = $status ne '' && $status ne 'error';
        my $dry = $status =~ /^dry_run/;

        my %head = (
            'X-Status' => $limited ? $status : undef,
            'X-Zone' => $limited ? $zone : undef,
            'X-Remaining' => $limited ? $left : undef,
            'Retry-After' => $status eq 'rejected' ? '[1-9]\d*' : undef,
        );

        if (!$limited || $dry) {
            $head{'RateLimit'} = undef;
            $head{'RateLimit-Policy'} = undef;

        } elsif (defined $o{r}) {
            $head{'RateLimit'} = "\"$zone\";r=$o{r};t=\\d+";
        }

        if ($status eq 'rejected') {
            $head{'Content-Type'} = 'application/problem\+json';
        }

        %head = (%head, %{ $o{response} // {} });

        # that they are absent, and that they are empty, is the same pattern

        push @want, join "\n", map { "$_: (?:" . ($head{$_} // '') . ')' }
                               sort keys %head;

        push @requests, $o{request} // 'GET /' . ($o{at} // 't');
        push @headers, key($n + 1, $key, $o{send});
        push @codes, $code;

        my $passed = $o{served} // ($limited && $status ne 'rejected'
                                    || $status eq '');

        $served += $passed;

        push @checks, {
            name => $name,
            body => exists $o{body} ? $o{body}
                    : $status eq 'rejected' ? problem($zone, $code)
                    : $status eq 'error' ? qr/500 Internal Server Error/
                    : "backend\n",
            log => $o{log},
            access => $o{access},
            row => $n + 1,
            error => $status eq 'error',
            pause => $o{pause} // 0,
        };
    }

    $checks[-1]{served} = $served if !defined _get($block, 'no_backend');

    _set($block, checks => \@checks);
    _set($block, request => \@requests);
    _set($block, more_headers => \@headers);
    _set($block, error_code => \@codes);
    _set($block, response_headers_like => \@want);

    return;
}


sub _check {
    my ($block, $body, $i, $repeat, $dry_run) = @_;

    my $checks = _get($block, 'checks') // return;
    my $check = $checks->[$i];
    my $name = $block->name . ": $check->{name} (repeat $repeat)";

    SKIP: {
        Test::More::skip($name, 1) if $dry_run;

        if (ref $check->{body}) {
            Test::More::like($body, $check->{body}, $name);

        } elsif (defined $check->{body}) {
            Test::More::is($body, $check->{body}, $name);
        }

        _check_log($check, $name);

        if (defined $check->{access}) {
            Test::More::like(_line("$run.$check->{row} "),
                             qr/\A$check->{access}\n\z/,
                             "$name: the access log");
        }

        if (defined $check->{served}) {
            Test::More::is(_seen($check->{served}), $check->{served},
                           "$name: what the backend has seen");
        }

        Time::HiRes::sleep($check->{pause});
    }

    return;
}


sub _check_log {
    my ($check, $name) = @_;

    my @want = @{ $check->{log}
                  // ($check->{error} ? [ qr/\[error\] invalid .*/ ] : []) };
    my @got = grep { $check->{log} || /^\[(?!info|notice)/ } _logged();

    my $all = join '\n', @want;

    Test::More::like(join("\n", @got), qr/\A$all\z/, "$name: the log");

    return;
}


# The module's lines in the error log since the last time, and all that are
# bad.

sub _logged {
    open my $in, '<', $Test::Nginx::Util::ErrLogFile or return;
    seek $in, $read, 0;

    my @lines;

    while (my $line = <$in>) {
        next if $line !~ /gateway_limit[ ](?:refuses|delays)
                          | \[(?:warn|error|crit|alert|emerg)\]/x;

        my ($level, $text) = $line =~ /(\[[a-z]+\]) \S+ (?:\*\d+ )?(.*)/;

        $text =~ s/, client: .*//;
        push @lines, "$level $text";
    }

    $read = tell $in;
    close $in;

    return @lines;
}


# The number of requests of this run in the backend's log; it may be late.

sub _seen {
    my ($wanted) = @_;

    my $seen;

    for (1 .. 200) {
        my $log = Test::Nginx::Util::access_log_data() // [];

        $seen = grep { m{"[A-Z]+ /backend/$run[ /?]} } @$log;

        return $seen if $seen >= $wanted;
    }

    return $seen;
}


# What follows this in a line of the access log; it may be late.

sub _line {
    my ($start) = @_;

    for (1 .. 200) {
        for my $line (@{ Test::Nginx::Util::access_log_data() // [] }) {
            return substr $line, length $start if index($line, $start) == 0;
        }
    }

    return "no line: $start";
}


sub _get {
    my ($block, $section) = @_;

    return exists $block->{$section} ? scalar $block->$section : undef;
}


sub _set {
    my ($block, $section, $value) = @_;

    $block->set_value($section, $value);

    return;
}


1;
