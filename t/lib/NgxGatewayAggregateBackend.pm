package NgxGatewayAggregateBackend;

# The service behind the suites of t/aggregate: it answers
#
#     /.../form/HOW    '{"form":"HOW"}', HOW being "length", "chunked" or
#                      "close"; with ?size=N, and a string of N bytes
#     /.../delay/TIME  what follows, after TIME seconds
#     anything else    what it was asked, as members "method", "uri",
#                      "headers" (of texts "Name: value"), "body", "length"
#                      (of the body), "count" (of the requests so far),
#                      "flying" (those that wait for an answer)

use strict;
use warnings;

use IO::Select;
use Time::HiRes ();

use base 'NgxGatewayListener';


sub serve {
    my ($self, $listen) = @_;

    my $select = IO::Select->new($listen);
    my (%got, @waiting);
    my $count = 0;

    while (!$self->orphaned()) {
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


1;
