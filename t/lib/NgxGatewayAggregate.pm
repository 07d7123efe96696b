package NgxGatewayAggregate;

# What the suites of t/aggregate have in common, on top of Test::Nginx::Socket.
# To be used before it, and that with "no_plan".
#
# Sections of a block beside those of Test::Nginx:
#
#   --- parts      lines of the block gateway_aggregate in the location /t
#   --- lines      more lines of the location /t
#   --- locations eval
#                  a list of NAME => PARTS, or NAME => [ PARTS, LINES ]: more
#                  locations like /t, called /NAME
#   --- server     lines of the server block
#   --- answers eval
#                  a list of NAME => TEXT: what /f/NAME answers, byte for byte
#   --- requests eval
#                  a list of [ "what is tried", BODY, %more ], each a request
#                  and all that its answer must be.  BODY is a text, a pattern,
#                  or a sub that is given the body and says whether it is
#                  right.  More: at (NAME of the location), args, request,
#                  send (headers), code, aggregate (the field
#                  Gateway-Aggregate, "complete" when not given, undef for
#                  none), response (headers: a text, or undef for none)
#   --- emerg eval
#                  a list of patterns that one line of the error log, an
#                  [emerg], must match: nginx does not start
#
# An answer with code 200 must have the Content-Length of its BODY.
#
# Behind /up/ and the upstream "backend" is a server of this process's own:
#
#   /.../form/HOW      '{"form":"HOW"}', HOW being "length", "chunked" or
#                      "close"; with ?size=N, and a string of N bytes
#   /.../delay/TIME    what follows, after TIME seconds
#   anything else      what it was asked, as members "method", "uri",
#                      "headers" (of texts "Name: value"), "body", "length"
#                      (of the body), "count" (of the requests so far),
#                      "flying" (those that wait for an answer)

use strict;
use warnings;

BEGIN {
    # Test::Nginx sleeps three of these before each look at the error log

    if (!$ENV{TEST_NGINX_USE_VALGRIND}) {
        $ENV{TEST_NGINX_SLEEP} //= 0.002;
    }
}

use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Time::HiRes ();

use base 'Exporter';

our @EXPORT = qw( run_blocks );

our @BAD = ('[crit]', '[alert]', '[emerg]');

my $backend;


# Makes Test::Nginx's sections of ours, then runs all.

sub run_blocks {
    Test::Nginx::Util::no_long_string();
    Test::Nginx::Util::log_level('info');
    Test::Nginx::Util::repeat_each(2);

    $ENV{TEST_NGINX_BACKEND_PORT} = _start_backend();

    _complete($_) for Test::Base::blocks();

    Test::Nginx::Socket::add_response_body_check(\&_check);
    Test::Nginx::Util::run_tests();

    return;
}


sub _complete {
    my ($block) = @_;

    my $name = $block->name;

    # Test::Base makes an error in an "eval" section the section's value

    for my $section (qw( requests emerg locations answers )) {
        my $value = _get($block, $section);

        if (defined $value && !ref $value) {
            die "$name: $section: $value\n";
        }
    }

    _set($block, http_config => (_get($block, 'http_config') // '')
                 . "\nupstream backend {"
                 . " server 127.0.0.1:\$TEST_NGINX_BACKEND_PORT; }\n");

    if (!defined _get($block, 'config')) {
        _set($block, config => _config($block));
    }

    if (_get($block, 'answers')) {
        my @answers = @{ _get($block, 'answers') };
        my @files;

        while (@answers) {
            push @files, [ splice @answers, 0, 2 ];
        }

        _set($block, user_files => \@files);
    }

    if (defined _get($block, 'emerg')) {
        my $all = join '', map { "(?=.*$_)" } @{ _get($block, 'emerg') };

        _set($block, must_die => '');
        _set($block, suppress_stderr => '');
        _set($block, error_log => [ '[emerg]', qr/\[emerg\]$all/s ]);
        _set($block, no_error_log => [ '[alert]', '[crit]' ]);
    }

    if (defined _get($block, 'requests')) {
        _requests($block);
    }

    if (!defined _get($block, 'no_error_log')) {
        _set($block, no_error_log => \@BAD);
    }

    return;
}


sub _config {
    my ($block) = @_;

    my $config = (_get($block, 'server') // '') . "\n";
    my @locations = @{ _get($block, 'locations') // [] };

    if (defined _get($block, 'parts')) {
        unshift @locations, t => [ _get($block, 'parts'),
                                   _get($block, 'lines') // '' ];
    }

    while (@locations) {
        my ($name, $text) = splice @locations, 0, 2;
        my ($parts, $lines) = ref $text ? @$text : ($text, '');

        $config .= <<"_EOC_";
        location = /$name {
            gateway_aggregate {
                $parts
            }
            $lines
        }

_EOC_
    }

    return $config . <<'_EOC_';
        location /f/ {
            alias html/;
        }

        location /up/ {
            proxy_pass http://backend;
        }
_EOC_
}


sub _requests {
    my ($block) = @_;

    my (@requests, @headers, @codes, @want, @checks);

    for my $row (@{ _get($block, 'requests') }) {
        my ($name, $body, %o) = @$row;

        my $code = $o{code} // 200;
        my $aggregate = exists $o{aggregate} ? $o{aggregate}
                        : $code == 200 ? 'complete' : undef;

        my %head = ('Gateway-Aggregate' => $aggregate,
                    %{ $o{response} // {} });

        if ($code == 200 && defined $aggregate) {
            $head{'Content-Type'} //= 'application/json';

            if (!ref $body && !exists $head{'Content-Length'}) {
                $head{'Content-Length'} = length $body;
            }
        }

        push @requests, $o{request} // 'GET /' . ($o{at} // 't')
                                       . ($o{args} // '');
        push @headers, $o{send} // '';
        push @codes, $code;
        push @want, join "\n",
             map { defined $head{$_} ? "$_: $head{$_}" : "! $_" }
             sort keys %head;
        push @checks, { name => $name,
                        body => $requests[-1] =~ /^HEAD/ ? '' : $body };
    }

    _set($block, checks => \@checks);
    _set($block, request => \@requests);
    _set($block, more_headers => \@headers);
    _set($block, error_code => \@codes);
    _set($block, response_headers => \@want);

    return;
}


sub _check {
    my ($block, $body, $i, $repeat, $dry_run) = @_;

    my $checks = _get($block, 'checks') // return;
    my $want = $checks->[$i]{body};
    my $name = $block->name . ": $checks->[$i]{name} (repeat $repeat)";

    SKIP: {
        Test::More::skip($name, 1) if $dry_run;

        if (ref $want eq 'CODE') {
            Test::More::ok($want->($body), $name)
                or Test::More::diag("body: $body");

        } elsif (ref $want) {
            Test::More::like($body, $want, $name);

        } else {
            Test::More::is($body, $want, $name);
        }
    }

    return;
}


# Returns the port of a server that lives as long as this process.

sub _start_backend {
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
                                       LocalPort => 0, Listen => 128)
                 or die "no free port: $!\n";
    my $parent = $$;

    $backend = fork // die "fork: $!\n";

    if ($backend == 0) {
        $SIG{PIPE} = 'IGNORE';
        eval { _serve($listen, $parent) };
        print STDERR "backend: $@" if $@;
        POSIX::_exit(0);
    }

    return $listen->sockport();
}


END {
    if ($backend) {
        local ($?, $!);
        kill 'KILL', $backend;
        waitpid $backend, 0;
    }
}


sub _serve {
    my ($listen, $parent) = @_;

    my $select = IO::Select->new($listen);
    my (%got, @waiting);
    my $count = 0;

    while (getppid == $parent) {
        for my $socket ($select->can_read(@waiting ? 0.002 : 1)) {

            if ($socket == $listen) {
                my $new = $listen->accept() or next;
                $select->add($new);
                $got{$new} = '';
                next;
            }

            if (!sysread $socket, $got{$socket}, 1 << 17,
                         length $got{$socket})
            {
                $select->remove($socket);
                delete $got{$socket};
                @waiting = grep { $_->{socket} != $socket } @waiting;
                close $socket;
                next;
            }

            my $request = _request($got{$socket}) or next;

            my ($delay) = $request->{uri} =~ m{/delay/([\d.]+)};

            $request->{count} = ++$count;
            $request->{flying} = 1 + @waiting;
            $request->{socket} = $socket;
            $request->{at} = Time::HiRes::time() + ($delay // 0);

            push @waiting, $request;
        }

        my $now = Time::HiRes::time();

        for my $request (grep { $_->{at} <= $now } @waiting) {
            my $socket = $request->{socket};

            $socket->blocking(1);
            print $socket _answer($request);
            $socket->flush();
            $select->remove($socket);
            delete $got{$socket};
            close $socket;
        }

        @waiting = grep { $_->{at} > $now } @waiting;
    }

    return;
}


# A whole request, or nothing.

sub _request {
    my ($text) = @_;

    my $end = index $text, "\r\n\r\n";
    return if $end < 0;

    my ($line, @headers) = split /\r\n/, substr $text, 0, $end;
    my ($method, $uri) = split / /, $line;
    my $body = substr $text, $end + 4;

    for my $header (@headers) {
        return if $header =~ /^Content-Length: (\d+)/i && length $body < $1;
    }

    return { method => $method, uri => $uri, headers => \@headers,
             body => $body };
}


sub _answer {
    my ($request) = @_;

    my ($how) = $request->{uri} =~ m{/form/([a-z]+)};
    my $body;

    if ($how) {
        my $more = $request->{uri} =~ /size=(\d+)/
                   ? ',"more":"' . 'x' x $1 . '"' : '';
        $body = "{\"form\":\"$how\"$more}";

    } else {
        $body = '{' . join(',',
            '"method":' . _string($request->{method}),
            '"uri":' . _string($request->{uri}),
            '"headers":[' . join(',', map { _string($_) }
                                      @{ $request->{headers} }) . ']',
            '"body":' . _string($request->{body}),
            '"length":' . length($request->{body}),
            '"count":' . $request->{count},
            '"flying":' . $request->{flying}) . '}';
    }

    my $head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
               . "Connection: close\r\n";

    if ($how && $how eq 'chunked') {
        my $chunks = join '', map { sprintf "%x\r\n%s\r\n", length, $_ }
                              unpack '(a1000)*', $body;

        return "${head}Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n";
    }

    if ($how && $how eq 'close') {
        $head =~ s/1\.1/1.0/;
        return "$head\r\n$body";
    }

    return "${head}Content-Length: " . length($body) . "\r\n\r\n$body";
}


# Bytes that are not ASCII are told as if they were ISO 8859-1.

sub _string {
    my ($text) = @_;

    $text =~ s/([\x00-\x1f"\\\x7f-\xff])/sprintf '\u%04x', ord $1/ge;

    return "\"$text\"";
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
