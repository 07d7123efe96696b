package NgxGatewayEvents;

# An nginx with format=websocket-events before a service that speaks
# WebSocket-over-HTTP, and GRIP.
#
#     my $gate = NgxGatewayEvents->new(
#         locations => { small => 'gateway_websocket_max_message 100;' },
#     );
#
#     locations  NAME => LINES: a location "/NAME" that serves WebSockets by
#                "/service/events", with a zone, unless a
#                gateway_websocket_serve is among the lines; "events" has none
#                of its own
#     others as of NgxGatewayServeNginx
#
# What the service answers is a text as NgxGatewayServe.pm has it: OPEN gets the
# one of the argument "open", what comes at the end that of "end", a message
# what is in it after "!"; without them OPEN is answered with OPEN, a message
# with itself.  The type is that of events.
#
#     fresh(NAME, OPEN, END)  the URI of a client, and the path of the service
#     requests(PATH, N)  waits for N: "OPEN TEXT:a CLOSE:1000:why"; several
#                events are joined with "+", none are "empty"
#     received(WS, N)  N frames: "text:a binary:b ping:"
#     silent(PATH, N, NAME)  a test: there are no more than N requests
#     publish(BODY, FIELD => VALUE, ...)  "STATUS TYPE TEXT", also with path
#                and method; a BODY that is no text is encoded
#
# Exported:
#
#     event_body(EVENT, ...)  EVENT is [NAME] or [NAME, CONTENT]
#     event_list(BODY)        what it is made of
#     said(EVENT, ...)        the text for a service that says it
#     told(EVENT, ...)        the message for that
#     fields(TEXT, ...)       more of such a text: fields of the answer
#     encoded(TEXT)           in %XX
#     item(CHANNEL, ...)      what is published, with the members of ws-message

use strict;
use warnings;

use IO::Socket::INET ();
use JSON::PP ();

use base qw( Exporter NgxGatewayServeNginx );

our @EXPORT = qw( event_body event_list said told fields encoded item );

our $TYPE = 'application/websocket-events';

my $json = JSON::PP->new->canonical->ascii;


sub new {
    my ($class, %o) = @_;

    my %locations = (events => '', %{ delete $o{locations} // {} });

    $_ =~ /\bgateway_websocket_serve\s/
        or $_ = 'gateway_websocket_serve /service/events$is_args$args '
                . "zone=chat format=websocket-events;\n$_"
        for values %locations;

    return $class->SUPER::new(
        answer => \&_answer, %o,
        http => 'gateway_websocket_zone chat:1m;' . ($o{http} // ''),
        locations => \%locations,
        server => <<'_EOC_' . ($o{server} // ''),
        location /publish {
            gateway_websocket_push zone=chat;
        }
_EOC_
    );
}


sub _answer {
    my ($request) = @_;

    my ($args) = $request->{uri} =~ /\?(.*)/;
    my %args = map { my ($name, $value) = split /=/, $_, 2;
                     ($name => _decoded($value // '')) }
               split /&/, $args // '';
    my @events = event_list($request->{body});
    my ($name, $content) = @events ? @{ $events[0] } : '';
    my $text = $name eq 'OPEN' ? $args{open} // said(['OPEN'])
               : $name ne 'TEXT' && $name ne 'BINARY' ? $args{end} // ''
               : $content =~ /\A!(.*)/s ? $1 : said(@events);

    return 'type=' . encoded($TYPE) . "&body=&$text";
}


sub event_body {
    return join '', map {
        my ($name, $content) = @$_;

        defined $content
            ? sprintf("%s %x\r\n%s\r\n", $name, length $content, $content)
            : "$name\r\n";
    } @_;
}


sub event_list {
    my ($body) = @_;
    my @events;

    while ($body =~ s/\A([A-Z]+)(?: ([0-9a-f]+))?\r\n//) {
        my ($name, $size) = ($1, $2);

        push @events, [$name, defined $size ? substr $body, 0, hex $size : ()];
        substr $body, 0, 2 + hex $size, '' if defined $size;
    }

    push @events, ['malformed', $body] if length $body;

    return @events;
}


sub said {
    return 'body=' . encoded(event_body(@_));
}


sub told {
    return '!' . said(@_);
}


sub fields {
    return join '', map { '&header=' . encoded($_) } @_;
}


sub encoded {
    my ($text) = @_;

    return $text =~ s/([^A-Za-z0-9])/sprintf '%%%02x', ord $1/ger;
}


sub _decoded {
    my ($text) = @_;

    return $text =~ s/%([0-9a-f]{2})/chr hex $1/gier;
}


sub item {
    my ($channel, %format) = @_;

    return { channel => $channel, formats => { 'ws-message' => \%format } };
}


sub fresh {
    my ($self, $name, $open, $end) = @_;

    my $query = join '&', 'n=' . ++$self->{n},
        defined $open ? 'open=' . encoded($open) : (),
        defined $end ? 'end=' . encoded($end) : ();

    return ("/$name?$query", "/events?$query");
}


sub requests {
    my ($self, $path, $n) = @_;

    return join ' ', map { _shown($_) } $self->service()->waited($path, $n);
}


sub _shown {
    my ($request) = @_;

    return join('+', map {
        my ($name, $content) = @$_;

        $content = join ':', unpack 'n a*', $content
            if $name eq 'CLOSE' && defined $content;

        join ':', $name, $content // ();
    } event_list($request->{body})) || 'empty';
}


sub received {
    my ($self, $ws, $n) = @_;

    my %names = (1 => 'text', 2 => 'binary', 9 => 'ping', 10 => 'pong');
    my @frames;

    while (@frames < $n) {
        my $frame = $ws->read_frame() // last;

        push @frames, join ':', $names{$frame->{opcode}} // $frame->{opcode},
            $frame->{payload};
    }

    return join ' ', @frames;
}


sub silent {
    my ($self, $path, $n, $name) = @_;

    return $self->idle($path, $n, $name);
}


sub publish {
    my ($self, $body, %fields) = @_;

    my $path = delete $fields{path} // '/publish/';
    my $method = delete $fields{method} // 'POST';

    $body = $json->encode($body) if ref $body;

    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                       PeerPort => $self->port())
                 or die "publish: $!\n";

    print $socket "$method $path HTTP/1.1\r\nHost: localhost\r\n",
        "Connection: close\r\nContent-Length: ", length $body, "\r\n",
        (map { "$_: $fields{$_}\r\n" } sort keys %fields), "\r\n", $body;

    my $answer = do { local $/; <$socket> } // '';
    my ($head, $text) = split /\r\n\r\n/, $answer, 2;
    my ($status) = ($head // '') =~ m{\AHTTP/1\.1 (\d+)};
    my ($content) = ($head // '') =~ /^Content-Type: (.*?)\r?$/mi;

    return join ' ', $status // 'none', $content // 'no type', $text // '';
}


1;
