package NgxGatewayWebSocketHandshakes;

# Handshakes that are refused, whatever is to come after them: RFC 6455,
# section 4.2.1.
#
#     bad_handshakes   ([WHAT, DETAIL, FIELD => VALUE, ...], ...), with the
#                      detail of the answer, whose status is 400; the fields as
#                      NgxGatewayWebSocket has them
#     bad_versions     values of Sec-WebSocket-Version that are answered with
#                      426 and %DETAILS' "version"
#     %DETAILS         of answers, by what is wrong
#     $KEY             one that is right

use strict;
use warnings;

use base 'Exporter';

our @EXPORT = qw( bad_handshakes bad_versions %DETAILS $KEY );

our $KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

our %DETAILS = (
    key        => '"Sec-WebSocket-Key" has to be there once, 16 bytes in'
                  . ' base64.',
    connection => 'There is no "Connection: upgrade".',
    upgrade    => 'Only "Upgrade: websocket" is possible.',
    no_version => '"Sec-WebSocket-Version" has to be there once.',
    version    => 'Only version 13 of the protocol is spoken here.',
    method     => 'A WebSocket is opened with GET and HTTP/1.1.',
    body       => 'A WebSocket is opened without a request body.',
    protocol   => '"Sec-WebSocket-Protocol" is not a list of names.',
);


sub bad_versions {
    return (qw( 8 0 14 12 013 13a ), '13, 8', '');
}


sub bad_handshakes {
    return (
        _bad(key => 'Sec-WebSocket-Key',
             'no key'          => undef,
             'two keys'        => [ $KEY, $KEY ],
             'an empty key'    => '',
             'a key of 15 bytes' => 'dGhlIHNhbXBsZSBub25j',
             'a key of 15 bytes and padding' => 'dGhlIHNhbXBsZSBub24=====',
             'a key of 17 bytes' => 'dGhlIHNhbXBsZSBub25jZTE=',
             'a key of 18 bytes' => 'dGhlIHNhbXBsZSBub25jZTEy',
             'a key without padding' => 'dGhlIHNhbXBsZSBub25jZQ',
             'a key that is not base64' => 'dGhlIHNhbXBs!SBub25jZQ==',
             'a key in base64url' => 'dGhlIHNhbXBs-SBub25jZQ==',
             'a long key'      => $KEY x 20),

        _bad(connection => 'Connection',
             'no Connection'   => undef,
             'Connection: close' => 'close',
             'Connection: keep-alive' => 'keep-alive',
             'Connection: upgrades' => 'upgrades',
             'an empty Connection' => ''),

        _bad(no_version => 'Sec-WebSocket-Version',
             'no version'      => undef,
             'two versions'    => [ 13, 13 ],
             'two other versions' => [ 8, 13 ]),

        _bad(upgrade => 'Upgrade',
             'Upgrade: h2c'    => 'h2c',
             'Upgrade: websocket, h2c' => 'websocket, h2c',
             'Upgrade: websocket/13' => 'websocket/13',
             'Upgrade: websockets' => 'websockets',
             'Upgrade: websocke' => 'websocke',
             'Upgrade: websocked' => 'websocked',
             'two Upgrades'    => [ 'websocket', 'websocket' ],
             'h2c and websocket' => [ 'h2c', 'websocket' ]),

        _bad(protocol => 'Sec-WebSocket-Protocol',
             'subprotocols with a slash' => 'a/b',
             'subprotocols with a space' => [ 'a, b', 'c d' ]),

        [ 'a body', $DETAILS{body}, 'Content-Length' => 4 ],
        [ 'a chunked body', $DETAILS{body}, 'Transfer-Encoding' => 'chunked' ],
    );
}


sub _bad {
    my ($detail, $field, @values) = @_;

    my @rows;

    while (my ($name, $value) = splice @values, 0, 2) {
        push @rows, [ $name, $DETAILS{$detail}, $field => $value ];
    }

    return @rows;
}


1;
