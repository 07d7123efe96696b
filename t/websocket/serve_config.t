#!/usr/bin/perl

# What "nginx -t" says to directives of served WebSockets that can not work: the
# directive, the value, and what would be allowed; and what it has to take.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayNginx;
use Test::More;

my $nginx = NgxGatewayNginx->new();

# What nginx says to lines of a context: undef when it takes them.

sub said {
    my ($lines, $context) = @_;

    $context //= 'location';

    $nginx->{http} = $context eq 'http' ? $lines : '';
    $nginx->{server} = $context eq 'server' ? $lines
                       : $context eq 'location' ? "location /t { $lines }"
                       : '';

    my $said = $nginx->test();

    return if $? == 0;

    my ($line) = $said =~ /\[emerg\] (?:\d+#\d+: )?(.*)/;

    return ($line // $said) =~ s/ in \S+:\d+\z//r;
}

sub refused {
    my ($lines, $want, $context) = @_;

    my $said = said($lines, $context) // 'nothing';

    return ref $want ? like($said, $want, $lines) : is($said, $want, $lines);
}

sub taken {
    my ($lines, $context) = @_;

    return is(said($lines, $context), undef,
              ($context ? "$context: " : '') . $lines);
}

sub invalid {
    my ($name, $value, $allowed, $shown) = @_;

    $shown //= $value =~ s/\A(["'])(.*)\1\z/$2/r;

    return refused("gateway_websocket_$name $value;",
                   "invalid value \"$shown\" in \"gateway_websocket_$name\", "
                   . "it must be $allowed");
}

my $serve = 'gateway_websocket_serve /a;';
my $uri = 'a URI of this server, which begins with "/"';


# Arguments, duplicates, contexts

my %one = (
    serve => '/a', connect => '/a', disconnect => '/a', concurrency => '2',
    on_error => 'close', max_queue => '2', route => '/a b /c',
    push => 'zone=z', zone => 'z:32k',
);

my %contexts = (serve => 'location', push => 'location', zone => 'http');

for my $name (sort keys %one) {
    my $directive = "gateway_websocket_$name";
    my $line = "$directive $one{$name};";
    my $zone = 'gateway_websocket_zone z:32k;';
    my $only = $contexts{$name} // 'http server location';

    my $in = sub {
        my ($lines, $context) = @_;

        return $lines if $name ne 'push' || $context eq 'http';
        return "location /t { $lines }";
    };

    for my $context (qw( http server location )) {
        if ($only !~ /$context/) {
            refused($line, "\"$directive\" directive is not allowed here",
                    $context);
            next;
        }

        my ($got, $twice);

        if ($name eq 'push') {
            my $block = 'server { listen unix:%DIR%/p.sock; location / {';

            taken("$zone $block $line } }", 'http');
            refused("$zone $block $line $line } }", qr/is duplicate/, 'http');
            refused("$zone $block $directive; } }",
                    "invalid number of arguments in \"$directive\" directive",
                    'http');
            next;
        }

        taken($line, $context);
        refused("$directive;", "invalid number of arguments in \"$directive\" "
                               . 'directive', $context);

        if ($name eq 'route') {
            taken("$line $line", $context);

        } elsif ($name eq 'zone') {
            refused("$line $line", qr/"z".*|duplicate/, $context);
            taken("$line gateway_websocket_zone y:32k;", $context);

        } else {
            refused("$line $line", "\"$directive\" directive is duplicate",
                    $context);
        }
    }
}

refused("gateway_websocket_$_;", qr/^invalid number of arguments/)
    for 'serve /a zone=z format=plain c', 'connect a b', 'disconnect a b',
        'concurrency 1 2', 'on_error a b', 'max_queue 1 2', 'route /a b',
        'route /a', 'route /a b /c d', 'push zone=z type=text c', 'push';
refused('gateway_websocket_zone a:32k b;', qr/^invalid number of arguments/,
        'http');

taken("if (\$arg_a) { $serve }");
taken("limit_except GET { $serve }");
taken("location ~ /a { $serve } location \@b { $serve }", 'server');
taken("gateway_websocket_zone z:32k; server { listen unix:%DIR%/p.sock; "
      . "location / { $_ } }", 'http')
    for 'if ($arg_a) { gateway_websocket_push zone=z; }',
        'limit_except GET { gateway_websocket_push zone=z; }',
        'gateway_websocket_push zone=z type=text;',
        'gateway_websocket_push type=binary zone=z;',
        'gateway_websocket_serve /a zone=z;',
        'gateway_websocket_serve /a format=plain zone=z;',
        'gateway_websocket_serve /a zone=z format=websocket-events;';
refused("if (\$arg_a) { gateway_websocket_$_; }",
        '"gateway_websocket_' . (split / /)[0]
        . '" directive is not allowed here')
    for 'connect /a', 'disconnect /a', 'concurrency 2', 'on_error close',
        'max_queue 2', 'route /a b /c';


# URIs

for my $name (qw( serve connect disconnect )) {
    my $off = $name eq 'serve' ? '' : ', or "off"';

    invalid($name, $_, $uri . $off)
        for qw( a http://a a/b @a ), '""', '"?a"', '" /a"',
            $name eq 'serve' ? 'off' : ();
    refused("gateway_websocket_$name \$nonsense;",
            'unknown "nonsense" variable');
    taken("gateway_websocket_$name $_;")
        for '/', '/a/b?c=d', '/$arg_a', '$arg_a', '/a$is_args$args',
            $name eq 'serve' ? () : 'off';
}


# Parameters of serve

refused("gateway_websocket_serve /a $_;",
        "invalid value \"$_\" in \"gateway_websocket_serve\", it must be "
        . 'zone=NAME, format=plain or format=websocket-events')
    for 'zones=z', 'zone', 'zone=', 'format', 'format=', 'format=events',
        'format=Plain', '/b', 'off';
refused("gateway_websocket_serve /a $_;", qr/duplicate/)
    for 'format=plain format=plain';
taken("gateway_websocket_serve /a $_;") for 'format=plain',
                                            'format=websocket-events';
refused('gateway_websocket_serve /a zone=none;',
        qr/"none"/);
refused('gateway_websocket_push zone=none;', qr/"none"/);
refused('gateway_websocket_push zone=;', qr/"gateway_websocket_push"/);


# Parameters of push

{
    my $allowed = '"zone=NAME", "type=text" or "type=binary", each once';

    for my $row ([ 'none' ], [ 'zones=z' ], [ 'type=' ], [ 'type=json' ],
                 [ 'type=Text' ], [ 'zone=z', 'zone=z' ],
                 [ 'zone=z', 'type=x' ], [ 'type=text', 'type=text' ],
                 [ 'type=text', 'type=binary' ], [ 'zone=z', 'text' ])
    {
        refused("gateway_websocket_push @$row;",
                "invalid parameter \"$row->[-1]\" in "
                . "\"gateway_websocket_push\", it must be $allowed");
    }

    refused("gateway_websocket_push type=$_;",
            'no "zone=NAME" in "gateway_websocket_push"') for qw( text binary );
}


# Routes

for my $pointer (qw( /~ /~2 /a~ ), '""') {
    my $shown = $pointer =~ s/"//gr;

    refused("gateway_websocket_route $pointer b /c;",
            "invalid value \"$shown\" in \"gateway_websocket_route\", it must "
            . 'be a JSON pointer, or the name of a member');
}

for my $to (qw( c http://c @c off ), '""') {
    my $shown = $to =~ s/"//gr;

    refused("gateway_websocket_route /a b $to;",
            "invalid value \"$shown\" in \"gateway_websocket_route\", it must "
            . "be $uri");
}

refused('gateway_websocket_route /a b $nonsense;',
        'unknown "nonsense" variable');
taken("gateway_websocket_route $_;")
    for '/a b /c', 'a b /c', '/a "" /c', '/a~0/~1/0 b /c?d=$arg_d',
        '/a "\"b" /c';


# Numbers

for my $name (qw( concurrency max_queue )) {
    invalid($name, $_, 'a number from 1 to 1000')
        for qw( 0 -1 1001 99999999999999999999 a 1.5 1k off ), '""';
    taken("gateway_websocket_$name $_;") for 1, 2, 1000;
}



# Errors

invalid('on_error', $_, '"message" or "close"')
    for qw( messages on off Close 500 ), '""';
taken("gateway_websocket_on_error $_;") for qw( message close );


# Zones

for my $value (qw( z z: :32k z:0 z:31k z:a z:1.5m z:-1 32k ), '""') {
    my $shown = $value =~ s/"//gr;

    refused("gateway_websocket_zone $value;",
            qr/^(?:invalid|zone).*"\Q$shown\E"|"gateway_websocket_zone"/,
            'http');
}

taken("gateway_websocket_zone $_;", 'http') for qw( z:32k z:1m a_b:64K );


# One content handler of a location

for my $row ([ 'gateway_websocket_pass ws://127.0.0.1:1;',
               'gateway_websocket_pass' ],
             [ 'proxy_pass http://127.0.0.1:1;', 'proxy_pass' ],
             [ 'gateway_websocket_guard on;', 'gateway_websocket_guard' ])
{
    my ($line, $name) = @$row;

    refused("$serve $line", qr/"gateway_websocket_serve"/);
    refused("$line $serve", qr/"gateway_websocket_serve"/);
}

# a guard of the level above is for others

taken("gateway_websocket_guard on; location /u { $serve }", 'server');
taken("location /u { $serve } location /v { gateway_websocket_guard on; "
      . 'proxy_pass http://127.0.0.1:1; }', 'server');
taken("location /u { gateway_websocket_connect /c; $serve location /u/v { "
      . 'proxy_pass http://127.0.0.1:1; } }', 'server');

# directives of pass and of serve stand together

taken("$serve gateway_websocket_$_;")
    for 'max_message 1m', 'max_frame 1k', 'max_reply 1k', 'ping 1s',
        'idle_timeout 1s', 'max_age 1s', 'expires $arg_a', 'limit 1r/s',
        'origins *', 'protocols a', 'deflate on', 'drain 1s',
        'set_header X-A b', 'route /a b /c', 'connect /a', 'disconnect /a',
        'concurrency 3', 'on_error close', 'max_queue 3';

for my $name (qw( Connection Upgrade Sec-WebSocket-Key Content-Length )) {
    refused("$serve gateway_websocket_set_header $name a;",
            "invalid field \"$name\" in \"gateway_websocket_set_header\", the "
            . 'gateway sets it');
}

done_testing();
