package NgxGatewayTest;

# What the suites of t/jwt have in common, on top of Test::Nginx::Socket.
# To be used before it.
#
# Sections of a block beside those of Test::Nginx:
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
#                  token as well), at (NAME of the location), code, body, response (headers), realm,
#                  scope, and pause: seconds before the next request
#   --- emerg eval
#                  a list of patterns that one line of the error log, an
#                  [emerg], must match: nginx does not start
#
# Location /t passes what it lets through to /backend of the same server.  In
# a block whose tokens are all refused, /backend must not be seen in the
# access log.

use strict;
use warnings;

BEGIN {
    # Test::Nginx sleeps three of these before each look at the error log

    if (!$ENV{TEST_NGINX_USE_VALGRIND}) {
        $ENV{TEST_NGINX_SLEEP} //= 0.002;
    }
}

use Time::HiRes ();

use NgxGatewayJWT;

use base 'Exporter';

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


# functions for "eval" sections, which Test::Base runs in a package of its own

sub import {
    my ($class) = @_;

    $class->export_to_level(1, @_);

    require Test::Base::Filter;

    for my $name (@EXPORT) {
        no strict 'refs';
        no warnings 'redefine';
        *{"Test::Base::Filter::$name"} = \&{"${class}::$name"};
    }

    return;
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


# Makes Test::Nginx's sections of ours, then runs all.

sub run_blocks {
    my $tests = 0;

    Test::Nginx::Util::no_long_string();
    Test::Nginx::Util::log_level('info');
    Test::Nginx::Util::repeat_each(2);

    my @blocks = Test::Base::blocks();

    for my $block (@blocks) {
        _complete($block);
        $tests += _count($block);
    }

    Test::More::plan(tests => $tests * Test::Nginx::Util::repeat_each());

    &Test::Nginx::Util::add_block_preprocessor(\&_refresh);
    Test::Nginx::Socket::add_response_body_check(\&_check_body);
    Test::Nginx::Util::run_tests();

    return;
}


sub _complete {
    my ($block) = @_;

    my $name = $block->name;

    # Test::Base makes an error in an "eval" section the section's value

    for my $section (qw( tokens emerg locations user_files )) {
        my $value = _get($block, $section);

        if (defined $value && !ref $value && $value !~ /^>>> /) {
            die "$name: $section: $value\n";
        }
    }

    if (!defined $block->user_files) {
        _set($block, user_files => files());
    }

    my $http = _get($block, 'http_config') // '';

    if ($http !~ /gateway_jwt_issuer\s+corp\b/
        && !defined _get($block, 'no_issuer'))
    {
        _set($block, http_config => issuer(_get($block, 'issuer')) . $http);
    }

    if (!defined _get($block, 'config')) {
        _set($block, config => _config($block));
    }

    if (defined _get($block, 'emerg')) {
        my $all = join '', map { "(?=.*$_)" } @{ _get($block, 'emerg') };

        _set($block, must_die => '');
        _set($block, suppress_stderr => '');
        _set($block, error_log => [ '[emerg]', qr/\[emerg\]$all/s ]);
        _set($block, no_error_log => [ '[alert]', '[crit]' ])
            if !defined _get($block, 'no_error_log');
    }

    if (defined _get($block, 'tokens')) {
        _requests($block);
    }

    if (!defined _get($block, 'no_error_log')) {
        _set($block, no_error_log => [ '[error]', '[crit]', '[alert]',
                                       'eyJ' ]);
    }

    return;
}


# A block may run long after its tokens were made, too long for those that are
# valid only for seconds: they are made once more.

sub _refresh {
    my ($block) = @_;

    my $source = $block->original_values->{tokens} // return;
    my $tokens = eval "package Test::Base::Filter; $source";

    die $block->name . ": tokens: $@" if $@;

    _set($block, tokens => $tokens);
    _requests($block);

    return;
}


sub _config {
    my ($block) = @_;

    my $use = 'gateway_jwt "api" issuer=corp;';
    my @locations = (t => _get($block, 'access') // $use);
    my @more = @{ _get($block, 'locations') // [] };

    while (@more) {
        my ($name, $lines) = splice @more, 0, 2;

        push @locations, $name,
             $lines =~ /^\s*gateway_jwt\s/m ? $lines : "$use\n$lines";
    }

    my $config = (_get($block, 'server') // '') . "\n";

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


sub _requests {
    my ($block) = @_;

    my (@names, @requests, @headers, @codes, @want, @bodies, @pauses);
    my $passed = 0;

    my $realm = _get($block, 'realm') // 'api';
    chomp $realm;

    for my $row (@{ _get($block, 'tokens') }) {
        my ($name, $token, $status, %o) = @$row;

        my $answer = answer($status, realm => $realm, %o);
        my %head = (%{ $answer->{headers} }, %{ $o{response} // {} });

        $passed ||= $answer->{code} == 200;

        push @names, $name;
        push @requests, $o{request} // 'GET /' . ($o{at} // 't');
        push @codes, $o{code} // $answer->{code};
        push @bodies, $o{body} // $answer->{body};
        push @pauses, $o{pause} // 0;

        push @headers,
             defined $o{headers} ? $o{headers}
             : !defined $token ? ''
             : ref $token ? late { 'Authorization: Bearer ' . $token->() }
             : "Authorization: Bearer $token";

        push @want, join "\n",
             map { defined $head{$_} ? "$_: $head{$_}" : "! $_" }
             sort keys %head;
    }

    _set($block, row_names => \@names);
    _set($block, row_bodies => \@bodies);
    _set($block, row_pauses => \@pauses);
    _set($block, request => \@requests);
    _set($block, more_headers => \@headers);
    _set($block, error_code => \@codes);
    _set($block, response_headers => \@want);

    if (!$passed && !defined _get($block, 'no_access_log')) {
        _set($block, no_access_log => '/backend');
    }

    return;
}


sub _check_body {
    my ($block, $body, $i, $repeat, $dry_run) = @_;

    my $names = _get($block, 'row_names') // return;
    my $name = $block->name . ": $names->[$i] (repeat $repeat)";
    my $want = _get($block, 'row_bodies')->[$i];

    SKIP: {
        Test::More::skip($name, 1) if $dry_run;

        if (ref $want) {
            Test::More::like($body, $want, $name);

        } else {
            Test::More::is($body, $want, $name);
        }

        Time::HiRes::sleep(_get($block, 'row_pauses')->[$i]);
    }

    return;
}


# How many tests Test::Nginx makes of a block, once.

sub _count {
    my ($block) = @_;

    my $logs = _patterns($block, 'error_log')
               + _patterns($block, 'no_error_log')
               + (defined _get($block, 'grep_error_log_out') ? 1 : 0);

    return 1 + $logs if defined _get($block, 'must_die');

    my $requests = _get($block, 'pipelined_requests')
                   // _get($block, 'request');
    my $n = ref $requests eq 'ARRAY' ? scalar @$requests : 1;

    return $n * $logs if defined _get($block, 'ignore_response');

    my $each = 1 + $logs + _patterns($block, 'access_log')
               + _patterns($block, 'no_access_log');

    $each++ if defined _get($block, 'row_names');

    for my $section (qw( raw_response_headers_like
                         raw_response_headers_unlike ))
    {
        $each++ if defined _get($block, $section);
    }

    $each++ if grep { defined _get($block, $_) }
               qw( response_body response_body_like response_body_unlike );

    my $tests = $n * $each;

    my $headers = _get($block, 'response_headers')
                  // _get($block, 'response_headers_like');

    if (defined $headers) {
        for my $text (ref $headers ? @$headers[ 0 .. $n - 1 ] : $headers) {
            $tests += keys %{ Test::Nginx::Util::parse_headers($text) };
        }
    }

    return $tests;
}


sub _patterns {
    my ($block, $section) = @_;

    my $value = _get($block, $section);

    return 0 if !defined $value;
    return scalar @$value if ref $value eq 'ARRAY';
    return 1 if ref $value;

    return scalar grep { length } split /\n+/, $value;
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
