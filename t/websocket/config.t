#!/usr/bin/perl

# What "nginx -t" says to directives that can not work: the directive, the
# value, and what would be allowed; and what it has to take.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayNginx;
use Test::More;

my $nginx = NgxGatewayNginx->new();

# What nginx says to lines of a context: undef when it takes them.

sub said {
    my (%text) = @_;

    $nginx->{http} = $text{http} // '';
    $nginx->{server} = $text{server} // '';
    $nginx->{server} .= "location /t { $text{location} }"
        if defined $text{location};

    my $said = $nginx->test();

    return if $? == 0;

    my ($line) = $said =~ /\[emerg\] (?:\d+#\d+: )?(.*)/;

    return ($line // $said) =~ s/ in \S+:\d+\z//r;
}

# context (where it is not "location"), lines, what is said to them

sub refused {
    my ($lines, $want, $context) = @_;

    my $said = said($context // 'location' => $lines) // 'nothing';

    return ref $want ? like($said, $want, $lines) : is($said, $want, $lines);
}

sub taken {
    my ($lines, $context) = @_;

    return is(said($context // 'location' => $lines), undef,
              ($context ? "$context: " : '') . $lines);
}

sub invalid {
    my ($name, $value, $allowed, $shown) = @_;

    $shown //= $value =~ s/\A(["'])(.*)\1\z/$2/r;

    return refused("gateway_websocket_$name $value;",
                   "invalid value \"$shown\" in \"gateway_websocket_$name\", "
                   . "it must be $allowed");
}

my $ws = 'gateway_websocket_pass ws://127.0.0.1:1;';


# Arguments and duplicates

my %one = (
    guard => 'on', pass => 'ws://127.0.0.1:1', reply => 'message',
    send => 'none', correlate => '/id', max_message => '1k', max_frame => '1k',
    max_reply => '1k', ping => '1s', idle_timeout => '1s', max_age => '1s',
    expires => '$arg_e', limit => '1r/s', origins => 'https://a.example',
    protocols => 'a', drain => '1s', deflate => 'on', connect_timeout => '1s',
    send_timeout => '1s', read_timeout => '1s', next_upstream => 'error',
    next_upstream_tries => '1', next_upstream_timeout => '1s',
    bind => '127.0.0.1', socket_keepalive => 'on', buffer_size => '1k',
    ssl_verify => 'on', ssl_server_name => 'on', ssl_name => 'a',
    ssl_verify_depth => '1', ssl_trusted_certificate => 'a', ssl_crl => 'a',
    ssl_certificate => 'a', ssl_certificate_key => 'a',
    ssl_protocols => 'TLSv1.3', ssl_ciphers => 'DEFAULT',
    ssl_session_reuse => 'on', ssl_password_file => '%DIR%/passwords',
);

$nginx->write_file('passwords', "secret\n");

for my $name (sort keys %one) {
    my $directive = "gateway_websocket_$name";
    my $line = "$directive $one{$name};";

    refused("$directive;", "invalid number of arguments in \"$directive\" "
                           . 'directive');
    refused("$line $line", "\"$directive\" directive is duplicate");

    # nginx's own check of files comes where they are used

    for my $context (qw( http server location )) {
        if ($name eq 'pass' && $context ne 'location') {
            refused($line, "\"$directive\" directive is not allowed here",
                    $context);
            next;
        }

        taken($line, $context);
    }
}

refused("gateway_websocket_$_->[0] a b $_->[1];", qr/^invalid number of arg/)
    for [ 'guard', '' ], [ 'pass', '' ], [ 'reply', 'c' ], [ 'send', '' ],
        [ 'correlate', '' ], [ 'max_message', '' ], [ 'ping', '' ],
        [ 'expires', '' ], [ 'limit', 'c' ], [ 'set_header', 'c' ],
        [ 'drain', '' ], [ 'bind', 'c' ];
refused('gateway_websocket_set_header X-A;', qr/^invalid number of arguments/);
refused('gateway_websocket;', 'unknown directive "gateway_websocket"');
refused("if (\$arg_a) { gateway_websocket_guard on; }",
        '"gateway_websocket_guard" directive is not allowed here');


# Flags

for my $name (qw( guard deflate socket_keepalive ssl_verify ssl_server_name
                  ssl_session_reuse ))
{
    refused("gateway_websocket_$name yes;", 'invalid value "yes" in '
            . "\"gateway_websocket_$name\" directive, it must be \"on\" or "
            . '"off"');
    taken("gateway_websocket_$name off;");
}


# Sizes

for my $name (qw( max_message max_frame max_reply buffer_size )) {
    invalid($name, $_, 'a size greater than 0')
        for qw( 0 0k -1 1.5k 1g 1kb k none ), '""', '99999999999999999999';
    taken("gateway_websocket_$name $_;") for qw( 1 100 64k 64K 10m );
}


# Times

for my $name (qw( ping idle_timeout max_age drain next_upstream_timeout )) {
    invalid($name, $_, 'a time, or "off"')
        for qw( -1 1.5s 1x on s none ), '""', '1s2m';
    taken("gateway_websocket_$name $_;") for qw( 0 off 1 100ms 1s 1m 1h 1d30s );
}

for my $name (qw( connect_timeout send_timeout read_timeout )) {
    invalid($name, $_, 'a time greater than 0')
        for qw( 0 0s -1 1.5s off s ), '""';
    taken("gateway_websocket_$name $_;") for qw( 1 100ms 1m );
}


# Numbers

for my $name (qw( next_upstream_tries ssl_verify_depth )) {
    invalid($name, $_, 'a number, 0 or greater') for qw( -1 a 1.5 );
    taken("gateway_websocket_$name 0;");
}


# What goes on with the next service

{
    my $allowed = 'one of error timeout invalid_header non_idempotent '
                  . 'http_500 http_502 http_503 http_504 http_403 http_404 '
                  . 'http_429 off';

    for my $value (qw( http_501 Error errors )) {
        invalid('next_upstream', $value, $allowed);
        refused("gateway_websocket_next_upstream error $value;",
                "invalid value \"$value\" in "
                . "\"gateway_websocket_next_upstream\", it must be $allowed");
    }

    taken("gateway_websocket_next_upstream $_;")
        for split(/ /, $allowed =~ s/^one of //r), 'error timeout http_500';
}


# The limit

{
    my $rate = 'a rate as 10r/s, 10r/m, 10r/h or 10r/d, or "off"';
    my $burst = 'burst= and a number greater than 0';

    invalid('limit', $_, $rate)
        for qw( 10 10r 10r/ 10r/w 10/s r/s 0r/s -1r/s 1.5r/s none on 10r/s/s ),
            '""', '99999999999r/s';

    for my $value (qw( burst burst= burst=0 burst=-1 burst=a burst=1.5 5
                       nodelay ))
    {
        refused("gateway_websocket_limit 10r/s $value;",
                "invalid value \"$value\" in \"gateway_websocket_limit\", it "
                . "must be $burst");
    }

    refused('gateway_websocket_limit off burst=2;',
            "invalid value \"off\" in \"gateway_websocket_limit\", it must be "
            . $rate);
    refused('gateway_websocket_limit 1r/d burst=1000000;',
            'invalid value "1r/d" in "gateway_websocket_limit", it must be a '
            . 'rate by which the burst comes back in a lifetime');

    taken("gateway_websocket_limit $_;")
        for 'off', '1r/s', '10r/m', '10r/h', '10r/d', '10r/s burst=1',
            '1000000r/s burst=100000';
}


# Origins

invalid('origins', $_, 'an origin as https://example.com, '
        . 'https://*.example.com, null, or "*"')
    for qw( example.com https:// ://a.example https://a.example/
            https://a.example/path https://*.a.*.example https://a*.example
            https://*a.example https://* https://*. https:/a.example
            *.example.com https://u@a.example https://a.example?x ),
        '"https://a.example#x"', '""';

taken("gateway_websocket_origins $_;")
    for '*', 'null', 'https://a.example', 'http://localhost:8080',
        'https://*.a.example:8443', 'https://a.example https://b.example null',
        'moz-extension://0-1', 'https://[::1]:8080';
refused('gateway_websocket_origins https://a.example b.example;',
        qr/^invalid value "b.example" in "gateway_websocket_origins", it /);


# Subprotocols

invalid('protocols', $_, q{a name of letters, digits and "!#$%&'*+-.^_`|~"})
    for 'a,b', 'a/b', 'a@b', 'a(b)', 'a=b', 'a:b', '[a]', '"a b"',
        '" a"', '"a "', '""',
        "\"\xc3\xa4\"", q{'a"'};
taken("gateway_websocket_protocols $_;")
    for 'a', 'graphql-transport-ws', 'v1.chat v2.chat', q{"!#%&'*+-.^_`|~a9"};


# Replies

{
    my $allowed = 'allowed are message, count=NUMBER, until=POINTER=VALUE and '
                  . 'close, and sse or ndjson';

    for my $value (qw( messages count count= count=0 count=-1 count=a
                       count=1.5 until until= until=/a until==b until=/~2=b
                       SSE json stream ))
    {
        refused("gateway_websocket_reply $value;",
                "invalid value \"$value\" in \"gateway_websocket_reply\", "
                . $allowed);
    }

    refused('gateway_websocket_reply sse messages;',
            "invalid value \"messages\" in \"gateway_websocket_reply\", "
            . $allowed);

    refused("gateway_websocket_reply $_;",
            '"gateway_websocket_reply" directive has two parameters of which '
            . 'only one can be')
        for 'sse ndjson', 'message close', 'count=1 until=/a=b', 'sse sse',
            'close close';

    taken("gateway_websocket_reply $_;")
        for 'message', 'close', 'count=1', 'count=100 sse', 'ndjson close',
            'until=/done=true', 'until=done=true', 'until=/a/b=', 'sse',
            'ndjson', 'until=/a==', 'sse until=/a=b';
}


# What is sent

refused('gateway_websocket_send $nonsense;', 'unknown "nonsense" variable');
taken("gateway_websocket_send $_;") for 'body', 'none', '""', '$arg_a',
                                        q{'{"a":"$arg_a"}'};


# Correlation

invalid('correlate', $_,
        'a JSON pointer, the name of a member, or "off"')
    for '""', '/~', '/~2', '/a~';
taken("gateway_websocket_correlate $_;") for qw( off /id /a/b/0 id a~b );

refused("$ws gateway_websocket_correlate /id; gateway_websocket_reply $_;",
        '"gateway_websocket_correlate" and "gateway_websocket_reply" with sse '
        . 'or ndjson cannot be together: a slow client would hold up the '
        . 'others of its connection')
    for 'sse', 'ndjson', 'count=2 sse', 'ndjson close';
refused("$ws gateway_websocket_correlate /id; gateway_websocket_reply close;",
        '"gateway_websocket_correlate" and "gateway_websocket_reply close" '
        . 'cannot be together');
refused("$ws gateway_websocket_correlate /id; gateway_websocket_send none;",
        '"gateway_websocket_correlate" and "gateway_websocket_send none" '
        . 'cannot be together');
refused('gateway_websocket_pass ws://$arg_a; gateway_websocket_correlate /id;',
        '"gateway_websocket_correlate" needs a "gateway_websocket_pass" '
        . 'without variables');
refused("gateway_websocket_reply sse; location = /u { $ws "
        . 'gateway_websocket_correlate /id; }',
        qr/^"gateway_websocket_correlate" and "gateway_websocket_reply" with /,
        'server');
taken("$ws gateway_websocket_correlate $_;")
    for '/id; gateway_websocket_reply count=2',
        '/id; gateway_websocket_reply until=/a=b',
        'off; gateway_websocket_reply sse',
        '/id; gateway_websocket_send $arg_a';
taken("gateway_websocket_correlate /id; location = /u { $ws "
      . 'gateway_websocket_correlate off; gateway_websocket_reply sse; }',
      'server');


# Fields of the handshake

for my $name (qw( Upgrade connection Sec-WebSocket-Key Sec-WebSocket-Version
                  sec-websocket-protocol Sec-WebSocket-Extensions
                  Content-Length Transfer-Encoding ))
{
    refused("gateway_websocket_set_header $name a;",
            "invalid field \"$name\" in \"gateway_websocket_set_header\", the "
            . 'gateway sets it');
}

refused('gateway_websocket_set_header X-A $nonsense;',
        'unknown "nonsense" variable');
taken("gateway_websocket_set_header $_;")
    for 'Host a.example', 'X-A ""', 'X-A $arg_a', 'Origin https://a.example';


# Where requests are passed to

for my $url (qw( 127.0.0.1:1 ftp://127.0.0.1 ws: ws:/a ws WS ), '""') {
    my $shown = $url =~ s/"//gr;

    refused("gateway_websocket_pass $url;",
            "invalid URL \"$shown\" in \"gateway_websocket_pass\", it must "
            . 'begin with ws://, wss://, http:// or https://');
}

refused('gateway_websocket_pass ws://;', qr/"?gateway_websocket_pass|no host/);
refused('gateway_websocket_pass ws://127.0.0.1:0;', qr/invalid port/);
refused('gateway_websocket_pass ws://127.0.0.1:99999;', qr/invalid port/);
refused('gateway_websocket_pass $nonsense;', 'unknown "nonsense" variable');
refused("location ~ /a { gateway_websocket_pass ws://127.0.0.1:1/a; }",
        '"gateway_websocket_pass" directive cannot have URI part in location '
        . 'given by regular expression, or inside named location, or inside '
        . '"if" statement, or inside "limit_except" block', 'server');
refused("location \@a { gateway_websocket_pass ws://127.0.0.1:1/; }",
        qr/^"gateway_websocket_pass" directive cannot have URI part in /,
        'server');
refused('if ($arg_a) { gateway_websocket_pass ws://127.0.0.1:1/; }',
        qr/^"gateway_websocket_pass" directive cannot have URI part in /);
refused("limit_except GET { gateway_websocket_pass ws://127.0.0.1:1/; }",
        qr/^"gateway_websocket_pass" directive cannot have URI part in /);

taken("gateway_websocket_pass $_;")
    for 'ws://127.0.0.1:1', 'wss://127.0.0.1', 'http://127.0.0.1/a',
        'https://127.0.0.1/a/', 'WS://127.0.0.1', 'ws://$arg_a',
        '$arg_a', 'ws://[::1]:1/', 'ws://unix:/tmp/a:/b';
taken('if ($arg_a) { gateway_websocket_pass ws://127.0.0.1:1; }');
taken("limit_except GET { $ws }");
taken("location ~ /a { $ws } location \@b { $ws }", 'server');
taken('upstream many { server 127.0.0.1:1; server 127.0.0.1:2 backup; } '
      . 'server { listen unix:%DIR%/many.sock; '
      . 'location / { gateway_websocket_pass wss://many/; } }', 'http');


# TLS

{
    my $wss = 'gateway_websocket_pass wss://127.0.0.1:1;';
    my $no = '%DIR%/none.pem';

    taken("$ws gateway_websocket_ssl_trusted_certificate $no;");
    refused("$wss gateway_websocket_ssl_trusted_certificate $no;",
            qr/^SSL_CTX_load_verify_locations\("[^"]*none.pem"\) failed/);
    refused("$wss gateway_websocket_ssl_crl $no;",
            qr/none.pem/);
    refused("$wss gateway_websocket_ssl_certificate $no;",
            qr/^no "gateway_websocket_ssl_certificate_key" is defined for /);
    refused("$wss gateway_websocket_ssl_certificate $no; "
            . "gateway_websocket_ssl_certificate_key $no;",
            qr/^cannot load certificate "[^"]*none.pem"/);
    refused("$wss gateway_websocket_ssl_ciphers nonsense;",
            qr/^SSL_CTX_set_cipher_list\("nonsense"\) failed/);
    refused("$wss gateway_websocket_ssl_conf_command Nonsense x;",
            qr/^SSL_CONF_cmd\("Nonsense", "x"\) failed/);
    refused("gateway_websocket_ssl_password_file $no;", qr/none.pem/);
    invalid('ssl_protocols', 'TLSv1.4',
            'one of TLSv1 TLSv1.1 TLSv1.2 TLSv1.3');
    refused('gateway_websocket_ssl_name $nonsense;',
            'unknown "nonsense" variable');

    taken("$wss gateway_websocket_ssl_verify off;");
    taken("$wss gateway_websocket_ssl_protocols TLSv1.2 TLSv1.3;");
    taken("$wss gateway_websocket_ssl_conf_command Groups P-256;");
    taken('gateway_websocket_ssl_name $arg_a;');
    taken("$wss gateway_websocket_ssl_trusted_certificate $no; "
          . 'gateway_websocket_ssl_verify off;');
}


# The end of a connection

refused('gateway_websocket_expires $nonsense;', 'unknown "nonsense" variable');
taken("gateway_websocket_expires $_;") for '$arg_a', '1700000000', '""';

done_testing();
