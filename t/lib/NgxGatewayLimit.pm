package NgxGatewayLimit;

# What the suites of t/limit have in common, on top of NgxGatewayBlocks.
# To be used before Test::Nginx::Socket, and that with "no_plan".
#
# Sections of a block beside those of Test::Nginx and NgxGatewayBlocks:
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
#
# Keys are others in each repetition of a block, so that all buckets are full.
# Locations pass what they let through to /backend of the same server; after
# the last request, the backend must have seen as many as were let through.

use strict;
use warnings;

use NgxGatewayBlocks qw( section preset );

use base 'NgxGatewayBlocks';

our @EXPORT = qw( run_blocks key problem seconds fields );

our $TITLE = 'Request cannot be satisfied as assigned quota has been exceeded';
our $TYPE = 'https://iana.org/assignments/http-problem-types#quota-exceeded';

# a repetition of a block; the row whose headers were made last; how far the
# error log has been read

my ($run, $row, $read) = (0, 1, 0);


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


sub run_blocks {
    return __PACKAGE__->run();
}


sub lists {
    return 'locations';
}


sub complete {
    my ($class, $block) = @_;

    my $zone = section($block, 'zone') // 'rate=1r/h burst=2';

    chomp $zone;

    preset($block, http_config => section($block, 'zones') //
           "gateway_limit_zone \$http_x_key zone=z:64k $zone;\n");
    preset($block, config => _config($block));

    return;
}


sub _config {
    my ($block) = @_;

    my @locations = (t => section($block, 'limit') // 'gateway_limit zone=z;',
                     @{ section($block, 'locations') // [] });

    my $config = (section($block, 'server') // '') . "\n";

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


# That a field is absent, and that it is empty, is the same pattern.

sub answers {
    return ('response_headers_like', sub {
        my ($name, $value) = @_;

        return "$name: (?:" . ($value // '') . ')';
    });
}


sub check {
    my ($class, $block, $row, $n) = @_;

    my ($name, $key, $status, %o) = @$row;

    my $code = $o{code} // ($status eq 'rejected' ? 429
                            : $status eq 'error' ? 500 : 200);
    my $zone = $o{zone} // 'z';
    my $left = $o{left} // $o{r} // '\d+';
    my $limited = $status ne '' && $status ne 'error';
    my $dry = $status =~ /^dry_run/;

    my %fields = (
        'X-Status' => $limited ? $status : undef,
        'X-Zone' => $limited ? $zone : undef,
        'X-Remaining' => $limited ? $left : undef,
        'Retry-After' => $status eq 'rejected' ? '[1-9]\d*' : undef,
    );

    if (!$limited || $dry) {
        $fields{'RateLimit'} = undef;
        $fields{'RateLimit-Policy'} = undef;

    } elsif (defined $o{r}) {
        $fields{'RateLimit'} = "\"$zone\";r=$o{r};t=\\d+";
    }

    if ($status eq 'rejected') {
        $fields{'Content-Type'} = 'application/problem\+json';
    }

    return {
        request => $o{request} // 'GET /' . ($o{at} // 't'),
        send => key($n + 1, $key, $o{send}),
        code => $code,
        fields => { %fields, %{ $o{response} // {} } },
        name => $name,
        body => exists $o{body} ? $o{body}
                : $status eq 'rejected' ? problem($zone, $code)
                : $status eq 'error' ? qr/500 Internal Server Error/
                : "backend\n",
        pause => $o{pause},
        log => $o{log},
        access => $o{access},
        row => $n + 1,
        error => $status eq 'error',
        passed => $o{served} // ($limited && $status ne 'rejected'
                                 || $status eq ''),
    };
}


sub checks {
    my ($class, $block, $checks) = @_;

    return if defined section($block, 'no_backend');

    $checks->[-1]{served} = 0;
    $checks->[-1]{served} += $_->{passed} for @$checks;

    return;
}


sub checked {
    my ($class, $block, $check, $name) = @_;

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


1;
