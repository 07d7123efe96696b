#!/usr/bin/perl

# What is offered, chosen, answered and let pass of permessage-deflate, without
# nginx: RFC 7692, section 7.1, and the grammar of RFC 6455, section 9.1.
# Fields go through negotiate.c; all short ones are compared with a regular
# expression and a few lines of Perl.
#
# Controls: what was made wrong on purpose has to be found wrong.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../lib";

use Test::More;

use NgxGatewayProgram;

plan skip_all => 'no nginx is configured in build/ ("make")' if !nginx();

my $json = "$here/../../json";
my $source = "$modules/websocket/ngx_http_gateway_websocket_extensions.c";
my @sources = ("$here/negotiate.c", "$here/words.c", "$json/core.c");
my $program = sanitized('negotiate', "-I$json", '-O1', @sources, $source);

diag 'no sanitizers: nobody looks for bytes read outside of a field'
    if !$program;

$program //= compiled('negotiate', "-I$json", '-O1', @sources, $source);

my $us = 'permessage-deflate';

# [what, [words], what has to come of it]

my @tests = (chosen(), filtered(), agreed(), accepted(), written());

for (asked($program, @tests)) {
    my ($what, $got, $expected) = @$_;

    is $got, $expected, $what;
}

my @short = short();
my @wrong = wrong($program, @short);

ok !@wrong, sprintf 'all short fields (%d)', scalar @short
    or diag join "\n", splice @wrong, 0, 5;

controls();

done_testing();


# The first acceptable offer, as "server bits, client bits, flags": server and
# client have no takeover, server and client bits were named

sub chosen {
    my @rows = (
        ['nothing but the name', $us, 'ok 15 15 0000'],
        ['what browsers offer', "$us; client_max_window_bits",
            'ok 15 15 0001'],
        ['server_no_context_takeover', "$us; server_no_context_takeover",
            'ok 15 15 1000'],
        ['client_no_context_takeover', "$us; client_no_context_takeover",
            'ok 15 15 0100'],
        ['all of them', "$us; server_no_context_takeover; "
            . 'client_no_context_takeover; server_max_window_bits=10; '
            . 'client_max_window_bits=12', 'ok 10 12 1111'],
        ['in any order', "$us; client_max_window_bits=12; "
            . 'server_max_window_bits=10; client_no_context_takeover; '
            . 'server_no_context_takeover', 'ok 10 12 1111'],

        (map { ["server_max_window_bits=$_", "$us; server_max_window_bits=$_",
                "ok $_ 15 0010"] } 9 .. 15),
        (map { ["client_max_window_bits=$_", "$us; client_max_window_bits=$_",
                "ok 15 $_ 0001"] } 9 .. 15),
        ['a window that zlib does not compress with',
            "$us; server_max_window_bits=8", 'declined'],
        ['likewise, but the next offer does',
            "$us; server_max_window_bits=8, $us", 'ok 15 15 0000'],
        ['a hint that is not answered', "$us; client_max_window_bits=8",
            'ok 15 15 0000'],

        (map { my $value = $_;
               map { ["no $_=$value", "$us; $_=$value", 'declined'] }
                   qw( server_max_window_bits client_max_window_bits ) }
            0 .. 7, 16, 17, 20, 80, 88, 99, 100, 108, 115, 150,
            '08', '09', '010', '015', '0', '-9', '+9', '9.', '9e0', 'x', '0x9',
            '15a', '4294967305', '"16"', '"08"', '"0"'),

        ['no server_max_window_bits without a value',
            "$us; server_max_window_bits", 'declined'],
        (map { my $name = $_;
               map { ["no $name with a value: $_", "$us; $name=$_",
                      'declined'] }
                   '1', '"1"', '0', 'true', 'x' }
            qw( server_no_context_takeover client_no_context_takeover )),
        (map { ["no $_ twice", "$us; $_; $_", 'declined'] }
            'server_no_context_takeover', 'client_no_context_takeover',
            'client_max_window_bits', 'server_max_window_bits=10',
            'client_max_window_bits=10'),
        ['nor with two values', "$us; client_max_window_bits=10; "
            . 'client_max_window_bits', 'declined'],
        (map { ["no parameter \"$_\"", "$us; $_", 'declined'] }
            'x', 'x=1', 'x="1"', 'server_max_window_bit=10',
            'server_max_window_bitss=10', 'Server_Max_Window_Bits=10',
            'client_no_context_takeover_', 'server_no_context_takeove',
            'permessage-deflate'),

        ['an invalid parameter beside valid ones', "$us; "
            . 'client_no_context_takeover; x; client_max_window_bits',
            'declined'],
        ['the first acceptable offer', "$us; x, $us; "
            . "server_max_window_bits=11, $us; server_max_window_bits=12",
            'ok 11 15 0010'],
        ['nothing of one offer stays for the next one', "$us; "
            . "client_no_context_takeover; client_max_window_bits=16, $us",
            'ok 15 15 0000'],
        ['nothing of what comes after the offer', "$us, $us; "
            . 'client_no_context_takeover', 'ok 15 15 0000'],

        (map { ["another extension: $_", $_, 'declined'] }
            'x-webkit-deflate-frame', 'permessage-bzip2', 'deflate-stream',
            'Permessage-Deflate', 'permessage-deflat', 'permessage-deflatee',
            'x; y=1; z="2"', 'bbf-usp-protocol', "x;$us", "x;x=$us"),
        ['another extension first', "x; y, $us; client_max_window_bits",
            'ok 15 15 0001'],
        ['another extension later', "$us, x; y=\"z\"", 'ok 15 15 0000'],

        (map { ["white space: \"$_\"", $_, 'ok 10 15 0010'] }
            "$us;server_max_window_bits=10",
            " $us ; server_max_window_bits = 10 ",
            "\t$us\t;\tserver_max_window_bits\t=\t10\t",
            "$us  ;  server_max_window_bits  =  \"10\"  "),
        (map { ["elements that are empty: \"$_\"", $_, 'ok 10 15 0010'] }
            ",$us; server_max_window_bits=10", ', ,' x 3
            . "$us; server_max_window_bits=10", "$us;server_max_window_bits=10"
            . ' , ,, ', "x,,,$us; server_max_window_bits=10,,y"),
        (map { ["a string: $_", "$us; server_max_window_bits=$_",
                'ok 10 15 0010'] }
            '"10"', '"\10"', '"1\0"', '"\1\0"'),

        (map { my $is = $_;
               map { ["malformed: \"$_\"", $_, 'error'] }
                   $is, $us . $is, "x, $is", "$us, x$is", "$is x" }
            ';', '=', '=x', '"', '"x"', '; ', ';,', ';;', '; =x', ';x=', ';x=,',
            ';x=;y', ';x="', ';x="y', ';x="y\\', ';x="y\\"', ';x=""',
            ';x="y z"', ';x="y\\ z"', ';x="\\""', ';x="y"z', ';x=y"z"',
            ';x="y""z"', ';x=y=z', ';x y', ';x=y z', '(', "\0", "\x7f",
            "\xe9", ";\xe9", ";x=\xe9", ";x=\"\xe9\"", "\n", "\r", "\x0b",
            ';x="y,z"', ';x="y;z"', '@', '{}', '/', ':', ';x=[1]'),
        (map { ["malformed, without any element: \"$_\"", $_, 'error'] }
            '', ' ', "\t", ',', ' , ', ',,,,'),
        ['malformed later, after a good offer', "$us, y y", 'error'],
    );

    return map { ["choose: $_->[0]", ['choose', $_->[1]], $_->[2]] } @rows;
}


# What a guard lets pass; what it cannot be wrong about is the grammar, which
# the short fields look at

sub filtered {
    my $wide = "$us; client_max_window_bits";

    my @rows = (
        ['as it is', $wide, $wide],
        ['as it is, spaces and strings too',
            "$us  ;server_max_window_bits = \"1\\0\"",
            "$us  ;server_max_window_bits = \"1\\0\""],
        ['nothing around it', " ,\t$wide , ", $wide],
        ['all offers', "$us;server_max_window_bits=8 , $wide, $us",
            "$us;server_max_window_bits=8,$wide,$us"],
        ['without what is not ours', "x; y=1, $wide, z", $wide],
        ['without what is not valid',
            "$us; x, $us; client_max_window_bits=7, $wide", $wide],
        ['nothing is left', "x; y=1, $us; z", ''],
    );

    return map { ["filter: $_->[0]", ['filter', $_->[1]], "ok $_->[2]"] } @rows;
}


# A response to the offers of another one

sub agreed {
    my $offers = "$us; server_max_window_bits=10; client_max_window_bits=12, "
        . "$us; server_no_context_takeover; client_max_window_bits, $us";
    my $plain = "$us; server_max_window_bits=10";

    my @rows = (
        ['to the last offer', $offers, $us, 'ok 15 15 0000'],
        ['to the first one', $offers, "$us; server_max_window_bits=10; "
            . 'client_max_window_bits=12', 'ok 10 12 0011'],
        ['less', $offers, "$us; server_max_window_bits=8; "
            . 'client_max_window_bits=8', 'ok 8 8 0011'],
        ['to the second one', $offers, "$us; server_no_context_takeover; "
            . 'client_max_window_bits=15', 'ok 15 15 1001'],
        ['what a server says unasked', $us, "$us; server_max_window_bits=9; "
            . 'server_no_context_takeover; client_no_context_takeover',
            'ok 9 15 1110'],
        ['what it should have said is not insisted on',
            "$us; server_max_window_bits=10; server_no_context_takeover", $us,
            'ok 15 15 0000'],

        ['more than was asked of the server', $plain,
            "$us; server_max_window_bits=11", 'error'],
        ['more than the client said', "$us; client_max_window_bits=11",
            "$us; client_max_window_bits=12", 'error'],
        ['what the client did not say', $us, "$us; client_max_window_bits=12",
            'error'],
        ['likewise, in no offer', "$us; server_max_window_bits=10, $us",
            "$us; client_max_window_bits=15", 'error'],
        ['to an offer that is none', "$us; x", $us, 'error'],
        ['to no offer', '', $us, 'error'],
        ['to no offer of ours', 'x', $us, 'error'],
    );

    return map({ ["agreed: $_->[0]", ['agreed', @$_[1, 2]], $_->[3]] } @rows),
           map({ ["agreed: $_->[0]", ['agreed', $offers, $_->[1]], 'error'] }
               not_a_response());
}


# A response to an offer of our own

sub accepted {
    my @rows = (
        ['to nothing', '15 15 0000', $us, 'ok 15 15 0000'],
        ['bits of the client', '15 15 0001', "$us; client_max_window_bits=9",
            'ok 15 9 0001'],
        ['bits that zlib does not compress with', '15 15 0001',
            "$us; client_max_window_bits=8", 'ok 15 8 0001'],
        ['bits as offered', '15 10 0000', "$us; client_max_window_bits=10",
            'ok 15 10 0001'],
        ['no bits, though offered', '10 10 0000', $us, 'ok 15 15 0000'],
        ['bits that were not offered', '15 15 0000',
            "$us; client_max_window_bits=15", 'error'],
        ['more bits than offered', '15 10 0001',
            "$us; client_max_window_bits=11", 'error'],
        ['bits of the server', '10 15 0000', "$us; server_max_window_bits=10",
            'ok 10 15 0010'],
        ['bits of the server, unasked', '15 15 0000',
            "$us; server_max_window_bits=8", 'ok 8 15 0010'],
        ['more bits of the server than asked', '10 15 0000',
            "$us; server_max_window_bits=11", 'error'],
        ['no takeover', '15 15 1100', "$us; client_no_context_takeover; "
            . 'server_no_context_takeover', 'ok 15 15 1100'],
        ['no takeover, unasked', '15 15 0000', "$us; "
            . 'client_no_context_takeover; server_no_context_takeover',
            'ok 15 15 1100'],
    );

    return map({ ["accept: $_->[0]", ['accept', \$_->[1], $_->[2]], $_->[3]] }
               @rows),
           map({ ["accept: $_->[0]", ['accept', \'15 15 0001', $_->[1]],
                  'error'] } not_a_response());
}


sub not_a_response {
    return (
        ['an extension not asked for', 'x'],
        ['one beside ours', "$us, x"],
        ['one in front of ours', "x, $us"],
        ['ours twice', "$us, $us"],
        ['a parameter that there is not', "$us; x"],
        ['a parameter twice', "$us; server_no_context_takeover; "
            . 'server_no_context_takeover'],
        ['client_max_window_bits without a value',
            "$us; client_max_window_bits"],
        ['server_max_window_bits without a value',
            "$us; server_max_window_bits"],
        (map { ["bits: $_", "$us; server_max_window_bits=$_"] }
            7, 16, '08', 'x', '"16"'),
        ['takeover with a value', "$us; client_no_context_takeover=1"],
        ['malformed', "$us;"],
        ['malformed later', "$us, ;"],
        ['no element', ' , '],
        ['nothing', ''],
    );
}


sub written {
    my $both = '; server_no_context_takeover; client_no_context_takeover';

    return map({ ["response: $_->[0]", ['response', \$_->[0]],
                  $us . $_->[1]] }
               ['15 15 0000', ''],
               ['15 15 1000', '; server_no_context_takeover'],
               ['15 15 0100', '; client_no_context_takeover'],
               ['12 15 0000', '; server_max_window_bits=12'],
               ['9 15 0000', '; server_max_window_bits=9'],
               ['15 15 0010', '; server_max_window_bits=15'],
               ['15 10 0001', '; client_max_window_bits=10'],
               ['15 10 0000', ''],
               ['15 15 0001', ''],
               ['15 10 1111', $both . '; server_max_window_bits=15; '
                   . 'client_max_window_bits=10']),
           map({ ["offer: $_->[0]", ['offer', \$_->[0]], $us . $_->[1]] }
               ['15 15 0000', ''],
               ['15 15 0001', '; client_max_window_bits'],
               ['15 10 0001', '; client_max_window_bits=10'],
               ['15 9 0000', '; client_max_window_bits=9'],
               ['10 15 0000', '; server_max_window_bits=10'],
               ['8 15 0001', '; server_max_window_bits=8; '
                   . 'client_max_window_bits'],
               ['10 11 1101', $both . '; server_max_window_bits=10; '
                   . 'client_max_window_bits=11']);
}


# What a field says, or nothing when it is malformed: [text, name, [parameter,
# value or undef], ...] for each element.  There is no separator in a string.

sub parsed {
    my ($field) = @_;

    my $tchar = qr/[!#\$%&'*+\-.^_`|~0-9A-Za-z]/;
    my $space = qr/[ \t]*/;
    my $value = qr/$tchar+|"(?:\\?$tchar)+"/;
    my $param = qr/$tchar+(?:$space=$space(?:$value))?/;
    my $element = qr/$tchar+(?:$space;$space$param)*/;
    my $empty = qr/[ \t,]*/;

    $field =~ /\A$empty$element(?:$space,$empty$element)*$empty\z/ or return;

    return [map {
        my ($name, @params) = split /$space;$space/;

        [$_, $name, map { [split /$space=$space/] } @params];
    } grep { length } map { s/^$space//r =~ s/[ \t]+\z//r } split /,/, $field];
}


# Its parameters as they are printed, or nothing when they are not valid

sub valid {
    my ($response, undef, $name, @params) = @_;
    my %said;

    return if $name ne $us;

    for (@params) {
        my ($param, $value) = @$_;

        return if exists $said{$param};

        $said{$param} = $value =~ tr/"\\//dr if defined $value;
        $said{$param} //= '';

        if ($param =~ /^(?:server|client)_no_context_takeover$/) {
            return if defined $value;

        } elsif ($param =~ /^(server|client)_max_window_bits$/) {
            return if $said{$param} !~ /\A(?:[89]|1[0-5])\z/
                      && (defined $value || $1 eq 'server' || $response);

        } else {
            return;
        }
    }

    return join ' ', ($said{server_max_window_bits} || 15),
        ($said{client_max_window_bits} || 15),
        join '', map { exists $said{$_} ? 1 : 0 }
            qw( server_no_context_takeover client_no_context_takeover
                server_max_window_bits client_max_window_bits );
}


# All fields of a few words, and all values of a few characters

sub short {
    my @words = ($us, ';', ',', '=', ' ', '"', 'server_max_window_bits',
                 'client_max_window_bits', 'client_no_context_takeover', '10',
                 'x');

    return map { [['choose', $_], chosen_of($_)],
                 [['filter', $_], filtered_of($_)],
                 [['accept', \'12 12 0001', $_], accepted_of($_)] }
        map({ $_, "$us;$_" } map { all_of($_, @words) } 1 .. 3),
        map({ "$us;server_max_window_bits=$_" }
            map { all_of($_, '1', '0', '5', '6', '8', '"', '\\', "\t", ',') }
                1 .. 4);
}


sub chosen_of {
    my ($field) = @_;
    my $elements = parsed($field) // return 'error';

    for (map { valid(0, @$_) // () } @$elements) {
        next if /^8 /;
        return 'ok ' . s/ 8 (...)1/ 15 ${1}0/r;
    }

    return 'declined';
}


sub filtered_of {
    my ($field) = @_;
    my $elements = parsed($field) // return 'declined';

    return 'ok ' . join ',', map { $_->[0] } grep { valid(0, @$_) } @$elements;
}


sub accepted_of {
    my ($field) = @_;
    my $elements = parsed($field) // return 'error';
    my $is = valid(1, @{ $elements->[0] });

    return 'error' if @$elements != 1 || !$is;

    my ($server, $client, $flags) = split ' ', $is;

    return $flags =~ /1.$/ && $server > 12 || $flags =~ /1$/ && $client > 12
        ? 'error' : "ok $is";
}


sub all_of {
    my ($n, @words) = @_;
    my @texts = ('');

    for (1 .. $n) {
        @texts = map { my $text = $_; map { "$text$_" } @words } @texts;
    }

    return @texts;
}


# [what, what came of it, what has to come of it] for each test

sub asked {
    my ($command, @tests) = @_;

    spew("$work/lines", join '', map {
        my ($call, @words) = @{ $_->[1] };

        join(' ', $call, map { ref ? $$_ : length ? unpack 'H*', $_ : '-' }
                             @words) . "\n";
    } @tests);

    my ($status, $output) = run('sh', '-c', "exec $command < $work/lines");
    my @lines = split /\n/, $output;

    return (map({ [$_->[0], answer(shift(@lines), $_->[1][0]), $_->[2]] }
                @tests),
            ['nothing else is wrong', join("\n", $status, @lines), '0']);
}


sub answer {
    my ($line, $call) = @_;

    return 'nothing' if !defined $line;
    return $line if $call !~ /^(?:filter|offer|response)$/;

    return $line =~ s/(?<!\S)(-|(?:[0-9a-f]{2})+)(?!\S)
                     /$1 eq '-' ? '' : pack 'H*', $1/xer;
}


sub wrong {
    my ($command, @short) = @_;

    return map { "$_->[0]: \"$_->[1]\" instead of \"$_->[2]\"" }
        grep { $_->[1] ne $_->[2] }
        asked($command, map {
            my ($words, $expected) = @$_;
            ["$words->[0] \"$words->[-1]\"", $words, $expected]
        } @short);
}


# What is to be found: [what, pattern, replacement]

sub controls {
    my @mutations = (
        ['a comma in front is no element', qr/\*p == ',' \|\| \*p == ' '/,
         q{*p == ' '}],
        ['a field without elements is one', qr/\? NGX_DONE : NGX_ERROR/,
         '? NGX_DONE : NGX_DONE'],
        ['what follows a string is passed over', qr/if \(\*p != ';'\) \{/,
         'if (0) {'],
        ['a string may be open', qr/len == 0 \|\| \(quoted && p == last\)/,
         'len == 0) { return NULL; } if (quoted && p == last) { return p; } '
         . 'if (0'],
        ['escapes are not undone', qr/quoted && c == '\\\\'/, '0'],
        ['a number may be longer', qr/len == 2 && text\[0\] == '1'/,
         q{len >= 2 && text[0] == '1'}],
        ['16 bits', qr/text\[1\] <= '5'/, q{text[1] <= '6'}],
        ['a parameter may be there twice',
         qr/flag == 0 \|\| \(e->params & flag\)/, 'flag == 0'],
        ['an unknown parameter is passed over',
         qr/if \(flag == 0 \|\| /, 'if (flag == 0) { return NGX_OK; } if ('],
        ['takeover may have a value',
         qr/client_no_takeover = 1;\s+return valued \? NGX_DECLINED : NGX_OK/,
         'client_no_takeover = 1; return NGX_OK'],
        ['a response may have no value', qr/e->response = 0;\s+return/,
         'return'],
        ['a response may have two elements',
         qr/&list, &more\) != NGX_DONE/, '&list, &more) == NGX_ERROR'],
        ['windows of 8 bits are chosen',
         qr/\|\| e\.deflate\.server_bits\s+< NGX_\w+/, ''],
        ['the last offer is taken', qr/if \(found \|\| /, 'if ('],
        ['client_max_window_bits may come unasked',
         qr/offer->client_bits_named\s+&& /, ''],
        ['the server may take more than was asked',
         qr/response->server_bits > offer->server_bits/, '0'],
        ['malformed after an offer is no matter',
         qr/if \(rc == NGX_ERROR\) \{\s+return NGX_ERROR;/,
         'if (rc == NGX_ERROR && !found) { return NGX_ERROR;'],
    );

    my $text = slurp($source);
    my $count = 0;
    my @others = map { compiled($count++ . '.o', "-I$json", qw( -O0 -c ), $_) }
        @sources;

    mutated($text, sub {
        my ($file) = @_;
        my $wrong = compiled('mutant', qw( -O0 -w ), @others, $file);

        return scalar grep { $_->[1] ne $_->[2] } asked($wrong, @tests);
    }, @mutations);

    return;
}
