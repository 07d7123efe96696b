package NgxGatewayRoute;

# What the suites of t/route have in common, on top of NgxGatewayBlocks.
# To be used before Test::Nginx::Socket, and that with "no_plan".
#
# Sections of a block beside those of Test::Nginx and NgxGatewayBlocks:
#
#   --- routes     lines of the block gateway_routes $to
#   --- http       more lines of the http block
#   --- tell       what an answer is made of; $to when not given
#   --- lines      more lines of the location /
#   --- check      instead of gateway_route $to; there
#   --- server     lines of the server block before that location
#   --- requests eval
#                  a list of [ REQUEST, ANSWER, %more ], each a request and all
#                  that its answer must be.  REQUEST is a path, or a method and
#                  a path.  ANSWER is the text that is told, with code 200;
#                  [ 404 ], [ 405, ALLOW ] or [ 204, ALLOW ], which the module
#                  answers; or [ CODE ].  More: route ($gateway_route), host
#                  and send (headers), text (the body, when it is not that),
#                  nginx (it is an error page of nginx), response (headers: a
#                  text, or undef for none), served (what the service was
#                  asked, as "METHOD URI")
#   --- warnings eval
#                  a list of patterns, one for each [warn] in the error log
#                  when nginx has started, in this order
#
# Location / passes what it lets through to a service that answers with what
# it was told.

use strict;
use warnings;

use NgxGatewayBlocks qw( section preset );

use base 'NgxGatewayBlocks';

our @EXPORT = qw( run_blocks );

our %DETAILS = (
    404 => [ 'Not Found', 'No route takes this request.' ],
    405 => [ 'Method Not Allowed',
             'The path has a route, but not for this method.' ],
);


sub run_blocks {
    Test::Nginx::Util::no_root_location();

    return __PACKAGE__->run();
}


sub lists {
    return 'warnings';
}


sub complete {
    my ($class, $block) = @_;

    my $routes = section($block, 'routes');

    preset($block, http_config => <<'_EOC_' . (section($block, 'http') // '')
server {
    listen unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;
    access_log off;

    location / {
        add_header X-Served "$request_method $request_uri";
        return 200 "$http_x_told\n";
    }
}
_EOC_
        . (defined $routes ? "\ngateway_routes \$to {\n$routes\n}\n" : "\n"));

    preset($block, config => _config($block));

    return;
}


sub _config {
    my ($block) = @_;

    my $server = section($block, 'server') // '';
    my $lines = section($block, 'lines') // '';
    my $check = section($block, 'check') // 'gateway_route $to;';
    my $tell = section($block, 'tell') // '$to';

    chomp $tell;

    return $server if $server =~ m{^location / \{}m;

    return <<"_EOC_";
$server

location / {
    $check
    $lines
    add_header X-Route \$gateway_route always;
    add_header X-Told "$tell" always;
    proxy_set_header X-Told "$tell";
    proxy_pass http://unix:\$TEST_NGINX_SERVER_ROOT/html/service.sock;
}
_EOC_
}


sub check {
    my ($class, $block, $row) = @_;

    my ($request, $answer, %o) = @$row;

    $request = "GET $request" if $request !~ / /;

    my ($code, $allow) = ref $answer ? @$answer : (200);
    my %fields = (Allow => $allow);

    if (!ref $answer && $answer ne '') {
        $fields{'X-Told'} = $answer;
    }

    $fields{'X-Route'} = $o{route} if exists $o{route};
    $fields{'X-Served'} = $o{served} if exists $o{served};

    if ($o{nginx}) {
        $fields{'Content-Type'} = 'text/html';
        $o{text} = qr{<center>nginx/};

    } elsif ($code == 404 || $code == 405) {
        $fields{'Content-Type'} = 'application/problem+json';
    }

    my $send = join "\n", (defined $o{host} ? "Host: $o{host}" : ()),
                          $o{send} // ();

    return {
        request => $request, send => $send, code => $code,
        fields => { %fields, %{ $o{response} // {} } },
        name => $request . ($send ne '' ? ", $send" : ''),
        body => $request =~ /^HEAD/ || $code == 204 ? ''
                : exists $o{text} ? $o{text}
                : !ref $answer ? "$answer\n"
                : $DETAILS{$code} ? _problem($code) : qr/^/,
    };
}


sub _problem {
    my ($code) = @_;

    my ($title, $detail) = @{ $DETAILS{$code} };

    return qr/\A\{"type":"about:blank","title":"\Q$title\E",
              "status":$code,"detail":"\Q$detail\E",
              "instance":"[0-9a-f]{32}"\}\n\z/x;
}


# What nginx warned of when it read the configuration.  With reloads, one log
# has all of them: only the last ones count.

sub checked {
    my ($class, $block, $check, $name, $n) = @_;

    return if $n > 0;

    my @want = @{ section($block, 'warnings') // return };

    open my $in, '<', $Test::Nginx::Util::ErrLogFile or return;
    my @got = grep { /\[warn\]/ } <$in>;
    close $in;

    @got = @got[ -@want .. -1 ] if $ENV{TEST_NGINX_USE_HUP} && @got >= @want;

    Test::More::is(scalar @got, scalar @want, $block->name . ': warnings');

    for my $n (0 .. $#want) {
        Test::More::like($got[$n] // '', $want[$n],
                         $block->name . ": warning $n");
    }

    return;
}


1;
