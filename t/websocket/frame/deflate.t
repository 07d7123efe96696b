#!/usr/bin/perl

# The streams of permessage-deflate by themselves, without nginx: RFC 7692,
# section 7.2.  deflate.c puts messages through them in pieces of all kinds and
# compares what is inflated with reference.c, which does it by the book; the
# peer is Perl's zlib.
#
# Controls: what was made wrong on purpose has to be found wrong.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../lib";

use Compress::Raw::Zlib qw( Z_FINISH Z_FIXED Z_FULL_FLUSH Z_HUFFMAN_ONLY Z_OK
    Z_SYNC_FLUSH );
use Test::More;

use NgxGatewayProgram;

plan skip_all => 'no nginx is configured in build/ ("make")' if !nginx();

my @sources = map { "$here/$_.c" } qw( deflate reference words );
my $streams = "$modules/websocket/ngx_http_gateway_websocket_deflate.c";
my $program = sanitized('deflate', '-O1', @sources, "$here/failing.c", '-lz');

diag 'no sanitizers: nobody looks for bytes written outside of a buffer'
    if !$program;

$program //= compiled('deflate', '-O1', @sources, "$here/failing.c", '-lz');

my $tail = "\0\0\xff\xff";

srand 7692;

my @texts = texts();

# [what, [words], what has to come of it: a list]

my @tests = (examples(), peers(), final(), empty(), bombs(), broken());

for (asked($program, @tests)) {
    my ($what, $got, $expected) = @$_;

    is $got, $expected, $what;
}

garbage();
deflated();
fragments();
controls();

done_testing();


# RFC 7692, section 7.2.3

sub examples {
    my $hello = 'f248cdc9c90700';

    my @rows = (
        ['7.2.3.1: one block', [$hello], ['Hello']],
        ['7.2.3.2: the window is shared', [$hello, 'f200110000'],
            ['Hello', 'Hello']],
        ['7.2.3.3: a block with no compression', ['000500faff48656c6c6f00'],
            ['Hello']],
        ['7.2.3.4: a final block', ['f348cdc9c9070000'], ['Hello']],
        ['7.2.3.5: two blocks', ['f24805000000ffffcac9c90700'], ['Hello']],
        ['7.2.3.6: an empty message', ['00'], ['']],
        ['one after the other',
            [$hello, '00', 'f348cdc9c9070000', 'f200110000',
             '000500faff48656c6c6f00', $hello],
            ['Hello', '', ('Hello') x 4]],
    );

    return map { my ($what, $in, $out) = @$_;
        ["inflate: $what", ['inflate', 15, 0, 1000, map { bytes($_) } @$in],
         $out]
    } @rows;
}


sub bytes {
    my ($hex) = @_;

    return pack 'H*', $hex;
}


# Messages with something of everything: short, repeated, at random, and the
# same ones again, from as far away as a window is wide

sub texts {
    my $json = join ',', map {
        sprintf '{"id":%d,"price":%.2f,"name":"%s"}', rand 1e6, rand 100,
            join '', map { chr 97 + rand 26 } 1 .. 5
    } 1 .. 40;

    return ('a', 'Hello', 'Hello', '{"op":"add","id":17}',
            '{"op":"add","id":18}', $json, "[$json]", 'x' x 3000,
            random(300), random(5000), $json);
}


sub random {
    my ($n) = @_;

    return join '', map { chr int rand 256 } 1 .. $n;
}


# What Perl's zlib has deflated

sub peers {
    my @rows;

    for my $window (9 .. 15) {
        my $far = random((1 << $window) - 300);
        my @long = ($far, $far, 'Hello', substr $far, 0, 1000);

        for my $no_takeover (0, 1) {
            for my $texts (\@texts, \@long) {
                my @messages = peer($window, $no_takeover, $texts);

                push @rows, [
                    "inflate: $window bits, "
                        . ($no_takeover ? 'no takeover' : 'takeover') . ', '
                        . @$texts . ' messages',
                    ['inflate', $window, $no_takeover, 1_000_000, @messages],
                    $texts];
            }
        }
    }

    # they are told to take 8, and take 9

    my @far = (random(400)) x 2;

    push @rows, map {
        ['inflate: 8 bits, of who takes 9',
         ['inflate', 8, 0, 1_000_000, peer($_->[0], 0, $_->[1])], $_->[1]]
    } [9, \@texts], [15, \@far];

    for (['one symbol after the other', -Strategy => Z_HUFFMAN_ONLY],
         ['fixed codes', -Strategy => Z_FIXED],
         ['nothing compressed', -Level => 0],
         ['the best compression', -Level => 9])
    {
        my ($what, @options) = @$_;

        push @rows, ["inflate: $what",
                     ['inflate', 15, 0, 1_000_000,
                      peer(15, 0, \@texts, @options)], \@texts];
    }

    return (@rows,
        ['inflate: without takeover there is nothing to look back to',
            ['inflate', 15, 1, 1000, peer(15, 0, ['Hello', 'Hello'])],
            ['Hello', \'bad']],
        ['inflate: a message that is flushed in between',
            ['inflate', 15, 0, 1000, flushed('Hel', 'lo', '', 'Hello')],
            ['HelloHello']],
    );
}


sub peer {
    my ($window, $no_takeover, $texts, @options) = @_;
    my $z = deflater($window, @options);

    return map {
        $z = deflater($window, @options) if $no_takeover;
        message($z, $_);
    } @$texts;
}


sub deflater {
    my ($window, @options) = @_;

    my ($z) = Compress::Raw::Zlib::Deflate->new(-WindowBits => -$window,
        -AppendOutput => 1, @options);

    return $z // die 'no deflate';
}


sub message {
    my ($z, $text) = @_;
    my $out = '';

    $z->deflate($text, $out) == Z_OK or die 'deflate';
    $z->flush($out, Z_SYNC_FLUSH) == Z_OK or die 'flush';

    return $out =~ s/\Q$tail\E\z//r;
}


sub flushed {
    my (@parts) = @_;
    my $z = deflater(15);
    my $out = '';

    for (@parts) {
        $z->deflate($_, $out) == Z_OK or die 'deflate';
        $z->flush($out, Z_FULL_FLUSH) == Z_OK or die 'flush';
    }

    return $out =~ s/\Q$tail\E\z//r;
}


# Messages that end with a final block; those after them may still look back,
# as those of a sender who keeps the window itself do

sub final {
    my $json = $texts[5];
    my @back = ($json, "$json!", "$json$json");
    my @deflated = map { finished($_) } @back;
    my @looking = (finished($back[0]),
                   map { finished($back[$_],
                                  -Dictionary => join '', @back[0 .. $_ - 1])
                   } 1, 2);

    # the empty block is not there

    my @rest = map { s/\0\z//r } @looking;

    return (
        ['inflate: final blocks', ['inflate', 15, 0, 1_000_000, @deflated],
            \@back],
        ['inflate: final blocks, no takeover',
            ['inflate', 15, 1, 1_000_000, @deflated], \@back],
        ['inflate: final blocks of which each looks back',
            ['inflate', 15, 0, 1_000_000, @looking], \@back],
        ['inflate: but not without takeover',
            ['inflate', 15, 1, 1_000_000, @looking], [$back[0], \'bad']],
        ['inflate: final blocks alone', ['inflate', 15, 0, 1_000_000, @rest],
            \@back],
        ['inflate: two final blocks in a message',
            ['inflate', 15, 0, 1_000_000, $rest[0] . $rest[1] . "\0"],
            ["$back[0]$back[1]"]],
        ['inflate: likewise, and no empty one',
            ['inflate', 15, 0, 1_000_000, $rest[0] . $rest[1], $rest[2]],
            ["$back[0]$back[1]", $back[2]]],
        ['inflate: a block after a final one',
            ['inflate', 15, 0, 1_000_000, $rest[0]
             . join('', peer(15, 0, [$json]))],
            ["$back[0]$json"]],
        ['inflate: nothing good after a final one',
            ['inflate', 15, 0, 1_000_000, "$rest[0]\x07"], [\'bad']],
        ['inflate: two empty blocks after a final one, the last one whole',
            ['inflate', 15, 0, 1_000_000, "$rest[0]\0$tail"], [\'bad']],
        ['inflate: empty final blocks', ['inflate', 15, 0, 0, "\3\0" x 3],
            ['']],
    );
}


sub finished {
    my ($text, @options) = @_;
    my $z = deflater(15, @options);
    my $out = '';

    $z->deflate($text, $out) == Z_OK or die 'deflate';
    $z->flush($out, Z_FINISH) == Z_OK or die 'finish';

    return "$out\0";
}


sub empty {
    return (
        ['inflate: empty messages between others',
            ['inflate', 15, 0, 100, peer(15, 0, ['Hello']), "\0", "\0",
             bytes('f200110000')], ['Hello', '', '', 'Hello']],
        ['inflate: not a byte is no message', ['inflate', 15, 0, 100, ''],
            [\'bad']],
        ['inflate: nor later', ['inflate', 15, 0, 100,
            bytes('f248cdc9c90700'), ''], ['Hello', \'bad']],
        ['inflate: the rest of a message is dropped',
            ['inflate', 15, 0, 5, bytes('f248cdc9c90700')], ['Hello']],
    );
}


sub bombs {
    my $zeros = "\0" x 65536;
    my ($bomb) = peer(15, 0, ["\0" x (48 << 20)]);
    my @two = peer(15, 0, [$zeros, $zeros]);

    return (
        ['bomb: 48 MB of zeros in ' . length($bomb) . ' bytes',
            ['inflate', 15, 0, 65536, $bomb], [\'big']],
        ['bomb: at the limit', ['inflate', 15, 0, 65536, @two],
            [$zeros, $zeros]],
        ['bomb: a byte beyond', ['inflate', 15, 0, 65535, $two[0]], [\'big']],
        ['bomb: the second one', ['inflate', 15, 0, 65536, $two[0],
            peer(15, 0, ["$zeros!"])], [$zeros, \'big']],
        ['bomb: nothing at all is the limit',
            ['inflate', 15, 0, 0, peer(15, 0, ['a'])], [\'big']],
        ['bomb: what is empty is not beyond it', ['inflate', 15, 0, 0, "\0"],
            ['']],
    );
}


# A message that is cut off, has something after it, or is another one than it
# was.  deflate.c has reference.c say what has to come of it.

sub broken {
    my ($whole) = peer(15, 0, [$texts[5]]);
    my $short = bytes('f248cdc9c90700');

    return (
        (map { ["broken: cut after $_ bytes",
                ['inflate', 15, 0, 100_000, substr $short, 0, $_], [\'bad']] }
            1 .. length($short) - 1),
        (map { ["broken: a longer one, cut after $_ bytes",
                ['inflate', 15, 0, 100_000, substr $whole, 0, $_], [\'bad']] }
            map { 7 * $_ } 1 .. length($whole) / 7),
        ['broken: the tail was left there',
            ['inflate', 15, 0, 1000, "$short$tail"], [\'bad']],
        ['broken: a part of the tail', ['inflate', 15, 0, 1000, "$short\0"],
            [\'bad']],
        ['broken: text', ['inflate', 15, 0, 1000, 'Hello'], [\'bad']],
        ['broken: JSON', ['inflate', 15, 0, 1000, '{"a":1}'], [\'bad']],
        ['broken: zlib\'s header', ['inflate', 15, 0, 1000,
            "\x78\x9c$short"], [\'bad']],
        ['broken: gzip\'s header', ['inflate', 15, 0, 1000,
            "\x1f\x8b\x08\0\0\0\0\0\0\3$short"], [\'bad']],
        ['broken: no such block', ['inflate', 15, 0, 1000, "\x06"], [\'bad']],
        ['broken: a length and another one',
            ['inflate', 15, 0, 1000, bytes('000500fbff48656c6c6f00')],
            [\'bad']],
        ['broken: nothing to look back to',
            ['inflate', 15, 0, 1000, bytes('f200110000')], [\'bad']],
        ['the tail is the data of a block, which is as well',
            ['inflate', 15, 0, 1000, bytes('000400fbff')], [$tail]],
        ['the tail is the data of a final block',
            ['inflate', 15, 0, 1000, bytes('010400fbff')], [$tail]],
        ['broken: a part of the tail is the data of a final block',
            ['inflate', 15, 0, 1000, bytes('010200fdff')], [\'bad']],
        ['broken: the tail is the data of a block, and not enough',
            ['inflate', 15, 0, 1000, bytes('000500faff')], [\'bad']],
        (map { ["broken: $_ bits of the tail are left", ['inflate', 15, 0,
                1000, left($_)], [\'bad']] } 1 .. 3),
    );
}


# A message that ends so many bits in front of the end of the tail.  Its code
# has lengths from 1 up to that of the end of the block, which is all ones; the
# zeros in front of them are the first of its symbols.

sub left {
    my ($bits) = @_;
    my @lengths = (0) x 258;

    @lengths[0 .. 15 - $bits, 256] = (1 .. 16 - $bits, 16 - $bits);

    # codes of 4 bits for all lengths, RFC 1951, section 3.2.7

    return pack 'b*', join '', '001', '0' x 10, '1111', '000' x 3, '001' x 16,
        map { sprintf '%04b', $_ } @lengths;
}


# Whatever else there is: only what reference.c says is looked at.

sub garbage {
    my ($whole) = peer(15, 0, [substr $texts[5], 0, 200]);
    my @bits = map { my $byte = $_;
                     map { my $text = $whole;
                           substr($text, $byte, 1) ^= chr(1 << $_);
                           $text } 0 .. 7 } 0 .. length($whole) - 1;

    told_of('all messages of a byte', map { chr } 0 .. 255);
    told_of('messages of two bytes',
            map { my $n = $_; map { chr($n) . chr } 0 .. 255 }
                0 .. 11, 0x18, 0x78, 0xf2, 0xff);
    told_of('messages at random', map { random(1 + rand 40) } 1 .. 2000);
    told_of('random dynamic codes',
            map { chr(4 | rand(256) & 0xf8) . random(30) } 1 .. 2000);
    told_of('a bit of a message changed', @bits);

    return;
}


sub told_of {
    my ($what, @messages) = @_;

    my @wrong = grep { $_->[1] =~ /differs|NOTHING|memory/ }
        asked($program, map {
            [unpack('H*', $_), ['inflate', 15, 0, 70_000, $_], []]
        } @messages);

    ok !@wrong, sprintf 'garbage: %s (%d)', $what, scalar @messages
        or diag join "\n", map { "$_->[0]: $_->[1]" } splice @wrong, 0, 5;

    return;
}


# What is deflated: deflate.c has had reference.c inflate it, which also looks
# at the window, and Perl's zlib does so with the least that there can be.

sub deflated {
    my @cases = (
        ['RFC 7692, 7.2.3.1, 7.2.3.2 and 7.2.3.6', 15, 0,
            ['Hello', 'Hello', '']],
        ['without takeover', 15, 1, ['Hello', 'Hello', '']],
        ['one empty message', 15, 0, ['']],
        ['empty messages', 15, 0, ['', 'Hello', '', '', 'Hello', '']],
        ['100 KB', 15, 0, [join '', map { $texts[5] } 1 .. 60]],
        ['100 KB at random', 15, 0, [random(100_000), random(3000)]],
        ['a byte a million times', 15, 0, ['a' x 1_000_000]],
        (map { my $window = $_;
               map { ["$window bits, " . ($_ ? 'no takeover' : 'takeover'),
                      $window, $_, [@texts, (random(5000)) x 2]] } 0, 1 }
            9 .. 15),
        ['all sizes around the buffer', 15, 0,
            [map { random($_) } 200 .. 260]],
    );

    for (asked($program, map { my ($what, $window, $no_takeover, $in) = @$_;
                               [$what, ['deflate', $window, $no_takeover, @$in],
                                $_] } @cases))
    {
        my ($what, $got, $case) = @$_;

        if (!ref $case) {
            is $got, $case, $what;
            next;
        }

        is inflated($got, @$case[1 .. 3]), 'all', "deflate: $what";
    }

    my ($first, $second) = map { $_->[1] } asked($program,
        ['', ['deflate', 15, 0, 'Hello', 'Hello', ''], []],
        ['', ['deflate', 9, 1, 'Hello', 'Hello'], []]);

    is $first, '<f248cdc9c90700> <f200110000> <00>',
        'deflate: the examples byte for byte';
    is $second, '<f248cdc9c90700> <f248cdc9c90700>',
        'deflate: the example byte for byte, without takeover';

    return;
}


# A byte in each, and no more memory for a million of them than for the first
# tenth

sub fragments {
    my ($status, $output) = run('sh', '-c', "echo fragments 4000000 "
                                . "| $program");

    like $output, qr/\A4000000 bytes, \d{7} fragments\n\z/,
        'a million fragments in constant memory';
    is $status, 0, 'nothing is wrong with them';

    return;
}


sub inflated {
    my ($got, $window, $no_takeover, $texts) = @_;
    my @messages = map { /^<(.*)>$/s or return $got; bytes($1) }
        split /(?<=>) (?=<)/, $got;
    my $z;

    return scalar(@messages) . ' messages' if @messages != @$texts;

    for my $i (0 .. $#messages) {
        my $in = $messages[$i] . $tail;
        my $out = '';

        $z = undef if $no_takeover;
        $z //= Compress::Raw::Zlib::Inflate->new(-WindowBits => -$window,
            -AppendOutput => 1, -ConsumeInput => 1);

        $z->inflate($in, $out);

        return "message $i" if $out ne $texts->[$i] || length $in;

        # all of it is within the room that one call needs

        my $size = length $texts->[$i];

        return "the size of message $i"
            if length $messages[$i] > $size + int($size / 8) + 64;
    }

    return 'all';
}


# [what, what came of it, what has to come of it] for each test

sub asked {
    my ($command, @tests) = @_;

    spew("$work/lines", join '', map {
        my ($call, @words) = @{ $_->[1] };
        my @numbers = splice @words, 0, $call eq 'inflate' ? 3 : 2;

        join(' ', $call, @numbers, map { length ? unpack 'H*', $_ : '-' }
                                       @words) . "\n";
    } @tests);

    my ($status, $output) = run('sh', '-c', "exec $command < $work/lines");
    my @lines = split /\n/, $output;

    return (map({ [$_->[0], answer(shift @lines), expected($_->[2])] } @tests),
            ['nothing else is wrong', join("\n", $status, @lines), '0']);
}


# Bytes in hex are put into brackets.

sub answer {
    my ($line) = @_;

    return 'NOTHING' if !defined $line;

    return $line =~ s/(?<!\S)(-|(?:[0-9a-f]{2})+)(?!\S)
                     /'<' . ($1 eq '-' ? '' : $1) . '>'/xegr;
}


sub expected {
    my ($texts) = @_;

    return $texts if grep { ref eq 'ARRAY' } @$texts;

    return join ' ', map { ref ? $$_ : '<' . unpack('H*', $_) . '>' } @$texts;
}


# What is to be found: [what, pattern, replacement]

sub controls {
    my @mutations = (
        ['the tail is not fed', qr/!z->final \|\| z->tail/, '0'],
        ['the tail is fed from its beginning again',
         qr/p = tail \+ z->tail/, 'p = tail'],
        ['a message may end anywhere',
         qr/\(z->stream\.data_type & 0x9f\) != 0x80/, '0'],
        ['a message may end within a byte',
         qr/data_type & 0x9f\) != 0x80/, 'data_type & 0x80) == 0'],
        ['a final block is the end', qr/z->final = 1;\s+continue;/,
         'z->final = 1; break;'],
        ['the window is lost after a final block', qr/inflateResetKeep/,
         'inflateReset'],
        ['the context is kept',
         qr/inflate_end\(.*?\Kif \(z->no_takeover\)/s, 'if (0)'],
        ['the context is not kept',
         qr/inflate_end\(.*?\Kif \(z->no_takeover\)/s, 'if (1)'],
        ['the end of a block is looked for too late',
         qr/ \|\| \(z->stream\.data_type & 0x80\)/, ''],
        ['the least bits', qr/ngx_max\(bits,\s+NGX_\w+\)/, 'bits'],
        ['no memory is no deflated data', qr/rc == Z_MEM_ERROR/, '0'],
        ['the tail is written, too', qr/z->end -= NGX_\w+_TAIL;/, ''],
        ['the last block is not waited for',
         qr/while \(z->stream\.avail_out == 0\)/, 'while (0)'],
        ['a message is over before all is written',
         qr/if \(z->start < z->end\)/, 'if (0)'],
        ['all bits are made use of',
         qr/z->bits = \(u_char\) ngx_min\(bits, \w+/,
         'z->bits = (u_char) ngx_min(15, 15'],
        ['the compressor\'s context is kept',
         qr/deflate_flush\(.*\Kif \(z->no_takeover\)/s, 'if (0)'],
    );

    # deflate.c looks at them itself

    my @deflate = (['', ['deflate', 15, 0, 'Hello', '', 'Hello'], []],
                   ['', ['deflate', 9, 1, map { random($_) } 205 .. 260], []],
                   ['', ['deflate', 9, 0, (random(5000)) x 2], []]);

    my $text = slurp($streams);
    my $count = 0;
    my @others = map { compiled($count++ . '.o', qw( -O0 -c ), $_) } @sources;

    mutated($text, sub {
        my ($file) = @_;
        my $wrong = compiled('mutant', qw( -O0 -w ), "-DSTREAMS=\"$file\"",
            @others, "$here/failing.c", '-lz');

        return scalar(grep { $_->[1] ne $_->[2] } asked($wrong, @tests))
               + scalar(grep { $_->[1] !~ /^</ }
                             (asked($wrong, @deflate))[0 .. $#deflate]);
    }, @mutations);

    return;
}
