package NgxGatewayRoute;

# What the suites of t/route have in common, on top of Test::Nginx::Socket.
# To be used before it, and that with "no_plan".
#
# Sections of a block beside those of Test::Nginx:
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
#   --- emerg eval
#                  a list of patterns that one line of the error log, an
#                  [emerg], must match: nginx does not start
#   --- warnings eval
#                  a list of patterns, one for each [warn] in the error log
#                  when nginx has started, in this order
#
# Location / passes what it lets through to a service that answers with what
# it was told.

use strict;
use warnings;

BEGIN {
    # Test::Nginx sleeps three of these before each look at the error log

    if (!$ENV{TEST_NGINX_USE_VALGRIND}) {
        $ENV{TEST_NGINX_SLEEP} //= 0.002;
    }
}

use base 'Exporter';

our @EXPORT = qw( run_blocks );

our %DETAILS = (
    404 => [ 'Not Found', 'No route takes this request.' ],
    405 => [ 'Method Not Allowed',
             'The path has a route, but not for this method.' ],
);


# Makes Test::Nginx's sections of ours, then runs all.

sub run_blocks {
    Test::Nginx::Util::no_long_string();
    Test::Nginx::Util::no_root_location();
    Test::Nginx::Util::log_level('info');
    Test::Nginx::Util::repeat_each(2);

    _complete($_) for Test::Base::blocks();

    Test::Nginx::Socket::add_response_body_check(\&_check);
    Test::Nginx::Util::run_tests();

    return;
}


sub _complete {
    my ($block) = @_;

    my $name = $block->name;

    # Test::Base makes an error in an "eval" section the section's value

    for my $section (qw( requests emerg warnings )) {
        my $value = _get($block, $section);

        if (defined $value && !ref $value) {
            die "$name: $section: $value\n";
        }
    }

    my $routes = _get($block, 'routes');

    if (!defined _get($block, 'http_config')) {
        _set($block, http_config => <<'_EOC_' . (_get($block, 'http') // '')
server {
    listen unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;
    access_log off;

    location / {
        add_header X-Served "$request_method $request_uri";
        return 200 "$http_x_told\n";
    }
}
_EOC_
             . (defined $routes ? "\ngateway_routes \$to {\n$routes\n}\n"
                                : "\n"));
    }

    if (!defined _get($block, 'config')) {
        _set($block, config => _config($block));
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
        _set($block, no_error_log => [ '[crit]', '[alert]', '[emerg]' ]);
    }

    return;
}


sub _config {
    my ($block) = @_;

    my $server = _get($block, 'server') // '';
    my $lines = _get($block, 'lines') // '';
    my $check = _get($block, 'check') // 'gateway_route $to;';
    my $tell = _get($block, 'tell') // '$to';

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


sub _requests {
    my ($block) = @_;

    my (@requests, @headers, @codes, @want, @checks);

    for my $row (@{ _get($block, 'requests') }) {
        my ($request, $answer, %o) = @$row;

        $request = "GET $request" if $request !~ / /;

        my ($code, $allow) = ref $answer ? @$answer : (200);
        my %head = (Allow => $allow);

        if (!ref $answer && $answer ne '') {
            $head{'X-Told'} = $answer;
        }

        $head{'X-Route'} = $o{route} if exists $o{route};
        $head{'X-Served'} = $o{served} if exists $o{served};

        if ($o{nginx}) {
            $head{'Content-Type'} = 'text/html';
            $o{text} = qr{<center>nginx/};

        } elsif ($code == 404 || $code == 405) {
            $head{'Content-Type'} = 'application/problem+json';
        }

        %head = (%head, %{ $o{response} // {} });

        push @requests, $request;
        push @codes, $code;
        push @headers, join "\n", (defined $o{host} ? "Host: $o{host}" : ()),
                                  $o{send} // ();
        push @want, join "\n",
             map { defined $head{$_} ? "$_: $head{$_}" : "! $_" }
             sort keys %head;

        push @checks, {
            name => "$request" . ($headers[-1] ne '' ? ", $headers[-1]" : ''),
            body => $request =~ /^HEAD/ || $code == 204 ? ''
                    : exists $o{text} ? $o{text}
                    : !ref $answer ? "$answer\n"
                    : $DETAILS{$code} ? _problem($code) : qr/^/,
        };
    }

    _set($block, checks => \@checks);
    _set($block, request => \@requests);
    _set($block, more_headers => \@headers);
    _set($block, error_code => \@codes);
    _set($block, response_headers => \@want);

    return;
}


sub _problem {
    my ($code) = @_;

    my ($title, $detail) = @{ $DETAILS{$code} };

    return qr/\A\{"type":"about:blank","title":"\Q$title\E",
              "status":$code,"detail":"\Q$detail\E",
              "instance":"[0-9a-f]{32}"\}\n\z/x;
}


sub _check {
    my ($block, $body, $i, $repeat, $dry_run) = @_;

    my $checks = _get($block, 'checks') // return;
    my $want = $checks->[$i]{body};
    my $name = $block->name . ": $checks->[$i]{name} (repeat $repeat)";

    SKIP: {
        Test::More::skip($name, 1) if $dry_run;

        if (ref $want) {
            Test::More::like($body, $want, $name);

        } else {
            Test::More::is($body, $want, $name);
        }

        _check_warnings($block) if $i == 0;
    }

    return;
}


# What nginx warned of when it read the configuration.  With reloads, one log
# has all of them: only the last ones count.

sub _check_warnings {
    my ($block) = @_;

    my @want = @{ _get($block, 'warnings') // return };

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
