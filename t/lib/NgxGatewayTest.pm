package NgxGatewayTest;

# What the suites of t/jwt have in common, on top of NgxGatewayBlocks.  To be
# used before Test::Nginx::Socket.
#
# Sections of a block beside those of Test::Nginx and NgxGatewayBlocks:
#
#   --- issuer     lines of the issuer block "corp"; issuer, audience and
#                  key_file have values of their own when not among them
#   --- access     lines of the location /t; gateway_jwt "api" issuer=corp;
#                  when not given
#   --- locations eval
#                  a list of NAME => LINES: more locations like /t, called
#                  /NAME, with these lines in them
#   --- server     lines of the server block before the locations
#   --- realm      what the answers name; "api" when not given
#   --- no_issuer  there is no issuer block "corp"
#   --- tokens eval
#                  a list of [ "what is tried", TOKEN, STATUS, %more ], each
#                  a request to /t and all that its answer must be.  TOKEN
#                  is undef for none, and may be a sub that makes it when
#                  it is sent.  More: request, headers (all of them, the
#                  token as well), at (NAME of the location), code, body,
#                  response (headers), realm, scope, and pause: seconds before
#                  the next request
#
# Location /t passes what it lets through to /backend of the same server.  In
# a block whose tokens are all refused, /backend must not be seen in the
# access log.

use strict;
use warnings;

use NgxGatewayBlocks qw( section set preset );
use NgxGatewayJWT;

use base 'NgxGatewayBlocks';

our @EXPORT = (qw( run_blocks answer late issuer files ),
               @NgxGatewayJWT::EXPORT);

our $KEYS = '$TEST_NGINX_SERVER_ROOT/html';

# status of $gateway_jwt_status, or "bad_request" for a malformed request

our %DETAILS = (
    missing            => 'no bearer token in the request',
    malformed          => 'the token is malformed',
    unknown_issuer     => "the token's issuer is not accepted here",
    unknown_key        => "the token's key is not known",
    bad_algorithm      => "the token's algorithm is not accepted",
    bad_signature      => "the token's signature is not valid",
    expired            => 'the token has expired',
    not_yet_valid      => 'the token is not valid yet',
    wrong_audience     => 'the token is not meant for this audience',
    wrong_type         => 'the token is not of an accepted type',
    too_long_lived     => "the token's lifetime is too long",
    claim_rejected     => 'a claim of the token does not satisfy this'
                          . ' resource',
    insufficient_scope => "the token's scope does not suffice for this"
                          . ' resource',
    bad_request        => 'the Authorization header is malformed',
);

our %TITLES = (
    400 => 'Bad Request',
    401 => 'Unauthorized',
    403 => 'Forbidden',
);


# code that is run each time a request is made: sub's value is its text

sub late(&) {
    my ($code) = @_;

    return bless $code, 'NgxGatewayTest::Late';
}


package NgxGatewayTest::Late {
    use overload '""' => sub { $_[0]->() }, 'bool' => sub { 1 },
                 fallback => 1;
}


# The answer of the location to a token of this status.

sub answer {
    my ($status, %o) = @_;

    my $realm = $o{realm} // 'api';

    if ($status eq 'ok') {
        return { code => 200, body => "backend\n",
                 headers => { 'X-Status' => 'ok',
                              'WWW-Authenticate' => undef } };
    }

    my $code = $status eq 'bad_request' ? 400
               : $status eq 'claim_rejected' ? 403
               : $status eq 'insufficient_scope' ? 403 : 401;

    my $error = $code == 400 ? 'invalid_request'
                : $code == 403 ? 'insufficient_scope' : 'invalid_token';

    my $detail = $DETAILS{$status} // die "no such status: \"$status\"\n";

    my $authenticate = "Bearer realm=\"$realm\"";

    if ($status eq 'insufficient_scope') {
        $authenticate .= ", error=\"$error\", scope=\"$o{scope}\"";

    } elsif ($status ne 'missing') {
        $authenticate .= ", error=\"$error\", error_description=\"$detail\"";
    }

    return {
        code => $code,
        body => qr/\A\{"type":"about:blank","title":"\Q$TITLES{$code}\E",
                   "status":$code,"detail":"\Q$detail\E",
                   "instance":"[0-9a-f]{32}"\}\n\z/x,
        headers => {
            'X-Status' => $status eq 'bad_request' ? 'malformed' : $status,
            'Content-Type' => 'application/problem+json',
            'WWW-Authenticate' => $authenticate,
        },
    };
}


# An issuer block; lines of $text replace the usual ones of the same name.

sub issuer {
    my ($text, $name) = @_;

    $text //= '';
    $name //= 'corp';

    my %usual = (issuer => $NgxGatewayJWT::ISSUER,
                 audience => $NgxGatewayJWT::AUDIENCE,
                 key_file => "$KEYS/$name.jwks");

    for my $line (sort keys %usual) {
        next if $text =~ s/^\s*no \Q$line\E;\s*$//m;
        next if $text =~ /(?:^|;)\s*\Q$line\E\s/m;

        $text .= "    $line $usual{$line};\n";
    }

    return "gateway_jwt_issuer $name {\n$text\n}\n";
}


# user_files of the usual keys and of these more

sub files {
    my @more = @_;

    my @files = ([ 'corp.jwks' => jwks(qw( rsa p256 p384 p521 ed25519 )) ]);

    while (@more) {
        my ($name, $text) = splice @more, 0, 2;
        push @files, [ $name => $text ];
    }

    return \@files;
}


sub run_blocks {
    &Test::Nginx::Util::add_block_preprocessor(\&_refresh);

    return __PACKAGE__->run();
}


# The number of tests is known beforehand.

sub made {
    my ($class, @blocks) = @_;

    my $tests = 0;

    $tests += _count($_) for @blocks;

    Test::More::plan(tests => $tests * Test::Nginx::Util::repeat_each());

    return;
}


sub rows {
    return 'tokens';
}


sub lists {
    return qw( locations user_files );
}


sub bad {
    return ('[error]', '[crit]', '[alert]', 'eyJ');
}


sub complete {
    my ($class, $block) = @_;

    my $http = section($block, 'http_config') // '';

    preset($block, user_files => files());

    if ($http !~ /gateway_jwt_issuer\s+corp\b/
        && !defined section($block, 'no_issuer'))
    {
        set($block, http_config => issuer(section($block, 'issuer')) . $http);
    }

    preset($block, config => _config($block));

    return;
}


# A block may run long after its tokens were made, too long for those that are
# valid only for seconds: they are made once more.

sub _refresh {
    my ($block) = @_;

    my $source = $block->original_values->{tokens} // return;
    my $tokens = eval "package Test::Base::Filter; $source";

    die $block->name . ": tokens: $@" if $@;

    set($block, tokens => $tokens);
    __PACKAGE__->requests($block);

    return;
}


sub _config {
    my ($block) = @_;

    my $use = 'gateway_jwt "api" issuer=corp;';
    my @locations = (t => section($block, 'access') // $use);
    my @more = @{ section($block, 'locations') // [] };

    while (@more) {
        my ($name, $lines) = splice @more, 0, 2;

        push @locations, $name,
             $lines =~ /^\s*gateway_jwt\s/m ? $lines : "$use\n$lines";
    }

    my $config = (section($block, 'server') // '') . "\n";

    while (@locations) {
        my ($name, $lines) = splice @locations, 0, 2;

        $config .= <<"_EOC_";
        location = /$name {
            $lines
            add_header X-Status \$gateway_jwt_status always;
            proxy_pass http://127.0.0.1:\$TEST_NGINX_SERVER_PORT/backend;
        }

_EOC_
    }

    return $config . <<"_EOC_";
        location = /backend {
            gateway_jwt off;
            return 200 "backend\\n";
        }
_EOC_
}


sub check {
    my ($class, $block, $row) = @_;

    my ($name, $token, $status, %o) = @$row;

    my $realm = section($block, 'realm') // 'api';

    chomp $realm;

    my $answer = answer($status, realm => $realm, %o);

    return {
        request => $o{request} // 'GET /' . ($o{at} // 't'),
        send => defined $o{headers} ? $o{headers}
                : !defined $token ? ''
                : ref $token ? late { 'Authorization: Bearer ' . $token->() }
                : "Authorization: Bearer $token",
        code => $o{code} // $answer->{code},
        fields => { %{ $answer->{headers} }, %{ $o{response} // {} } },
        name => $name,
        body => $o{body} // $answer->{body},
        pause => $o{pause},
        passed => $answer->{code} == 200,
    };
}


sub checks {
    my ($class, $block, $checks) = @_;

    if (!grep { $_->{passed} } @$checks) {
        preset($block, no_access_log => '/backend');
    }

    return;
}


# How many tests Test::Nginx makes of a block, once.

sub _count {
    my ($block) = @_;

    my $logs = _patterns($block, 'error_log')
               + _patterns($block, 'no_error_log')
               + (defined section($block, 'grep_error_log_out') ? 1 : 0);

    return 1 + $logs if defined section($block, 'must_die');

    my $requests = section($block, 'pipelined_requests')
                   // section($block, 'request');
    my $n = ref $requests eq 'ARRAY' ? scalar @$requests : 1;

    return $n * $logs if defined section($block, 'ignore_response');

    my $each = 1 + $logs + _patterns($block, 'access_log')
               + _patterns($block, 'no_access_log');

    $each++ if defined section($block, 'checks');

    for my $section (qw( raw_response_headers_like
                         raw_response_headers_unlike ))
    {
        $each++ if defined section($block, $section);
    }

    $each++ if grep { defined section($block, $_) }
               qw( response_body response_body_like response_body_unlike );

    my $tests = $n * $each;

    my $headers = section($block, 'response_headers')
                  // section($block, 'response_headers_like');

    if (defined $headers) {
        for my $text (ref $headers ? @$headers[ 0 .. $n - 1 ] : $headers) {
            $tests += keys %{ Test::Nginx::Util::parse_headers($text) };
        }
    }

    return $tests;
}


sub _patterns {
    my ($block, $section) = @_;

    my $value = section($block, $section);

    return 0 if !defined $value;
    return scalar @$value if ref $value eq 'ARRAY';
    return 1 if ref $value;

    return scalar grep { length } split /\n+/, $value;
}


1;
