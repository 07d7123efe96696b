package NgxGatewayWebSocketFrame;

# Frames of RFC 6455 and the compression of RFC 7692, for
# NgxGatewayWebSocket.pm, which exports them as well.
#
#     ws_frame(OPCODE, PAYLOAD, ...)
#              a frame's bytes; OPCODE is a number or cont, text, binary,
#              close, ping, pong.  fin (1), rsv (0; 4 is RSV1), mask (4 bytes;
#              a sub that makes them; undef for none, which is the default),
#              length (what it claims), form (7, 16 or 64: bits of length)
#     ws_close(CODE, REASON)   the payload of a Close
#     ws_accept(KEY), ws_mask(BYTES, MASK), ws_random(N)
#     ws_deflate(BYTES), ws_inflate(BYTES): a message of its own
#     ws_opcode(NAME)
#     ws_deflater(BITS), ws_inflater(BITS): contexts, which these two take as
#              a second argument

use strict;
use warnings;

use Compress::Raw::Zlib ();
use Digest::SHA ();
use MIME::Base64 ();

use base 'Exporter';

our @EXPORT = qw( ws_frame ws_close ws_accept ws_mask ws_random ws_deflate
                  ws_inflate ws_deflater ws_inflater ws_opcode );

our %OPCODES = (cont => 0, text => 1, binary => 2, close => 8, ping => 9,
                pong => 10);

my $GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
my $TAIL = "\0\0\xff\xff";


sub ws_opcode {
    my ($name) = @_;

    return $name if $name =~ /\A\d+\z/;
    return $OPCODES{$name} // die "no such opcode: \"$name\"\n";
}


sub ws_frame {
    my ($opcode, $payload, %o) = @_;

    $payload //= '';

    my $length = $o{length} // length $payload;
    my $form = $o{form} // ($length < 126 ? 7 : $length < 65536 ? 16 : 64);
    my $mask = ref $o{mask} ? $o{mask}->() : $o{mask};
    my $bit = defined $mask ? 128 : 0;

    my $head = chr(($o{fin} // 1) << 7 | ($o{rsv} // 0) << 4
                   | ws_opcode($opcode));

    $head .= $form == 7 ? chr($bit | $length)
             : $form == 16 ? pack 'Cn', $bit | 126, $length
             : pack 'CQ>', $bit | 127, $length;

    return $head . $payload if !defined $mask;
    return $head . $mask . ws_mask($payload, $mask);
}


sub ws_mask {
    my ($bytes, $mask) = @_;

    my $length = length $bytes;

    return '' if !$length;
    return $bytes ^ substr $mask x (($length + 3) / 4), 0, $length;
}


sub ws_random {
    my ($n) = @_;

    return join '', map { chr int rand 256 } 1 .. $n;
}


sub ws_close {
    my ($code, $reason) = @_;

    return defined $code ? pack('n', $code) . ($reason // '') : '';
}


sub ws_accept {
    my ($key) = @_;

    return MIME::Base64::encode_base64(Digest::SHA::sha1($key . $GUID), '');
}


sub ws_deflate {
    my ($bytes, $context) = @_;

    $context //= ws_deflater(15);

    my $out = '';

    $context->deflate($bytes, $out) == 0 or die "deflate failed\n";
    $context->flush($out, Compress::Raw::Zlib::Z_SYNC_FLUSH()) == 0
        or die "deflate failed\n";

    $out =~ s/\Q$TAIL\E\z//;

    return length $out ? $out : "\0";
}


sub ws_inflate {
    my ($bytes, $context) = @_;

    $context //= ws_inflater(15);

    my $in = $bytes . $TAIL;
    my $out = '';
    my $status = $context->inflate($in, $out);

    die "inflate: $status\n" if $status != 0 && $status + 0 != -5;

    return $out;
}


sub ws_deflater {
    my ($bits) = @_;

    my ($context) = Compress::Raw::Zlib::Deflate->new(
        -WindowBits => $bits == 8 ? -9 : -$bits, -AppendOutput => 1);

    return $context // die "no deflate\n";
}


sub ws_inflater {
    my ($bits) = @_;

    my ($context) = Compress::Raw::Zlib::Inflate->new(
        -WindowBits => -$bits, -AppendOutput => 1);

    return $context // die "no inflate\n";
}


1;
