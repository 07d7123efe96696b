#!/usr/bin/perl

# What conf.example/public-api.conf says of itself: each thing that its comment
# promises, with curl as the client, and what an attacker would try first.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use E2EExample;
use IO::Select;
use IO::Socket::INET;
use JSON::PP qw( decode_json );
use NgxGatewayBackend qw( answer );
use NgxGatewayJWT qw( at jwt );
use POSIX ();
use Test::More;
use Time::HiRes qw( sleep time );

my $tls = { https => 'api.example.com' };
my $http1 = { %$tls, curl => [ '--http1.1' ] };
my ($api, $users) = (undef, 1000);


# With the stand-in services, as it is.

$api = E2EExample->start('public-api', jwks => [ 'rsa', 'p256' ]);

tls();
routes();
refused();
cors();
tokens();
sizes();
caches();
rest();
plans();
addresses();
logs();

$api->clean_log('a clean log');
$api->stop;


# With services that do what they should not, and times that are shorter.

my $service = NgxGatewayBackend->new(services());

$api = E2EExample->start('public-api',
    jwks  => [ 'rsa' ],
    ports => { 8110 => $service->port, 8111 => $service->port,
               8112 => 1, 8113 => $service->port },
    edit  => sub {
        s/(client_header_timeout|client_body_timeout)( +)10s/$1${2}1s/;
        s/(client_body_timeout)( +)10s/$1${2}1s/;
        s/(proxy_read_timeout)( +)\d+s/$1${2}2s/g;
        s/(limit_conn +connections) 100/$1 2/;
        s/9000r\/d burst=1000/9000r\/d burst=3/;
        s/(GET +)(\/v1\/catalog) +catalog;/$& $1$2-admin reports;/;
    });

headers();
stored();
errors();
deadlines();
quotas();
bodies();

$api->clean_log('a clean log, with services that are not');
$api->stop;

done_testing();


sub tls {
    my $answer = catalog();

    is("$answer->{version} $answer->{status}", '2 200', 'TLS and HTTP/2');
    is(get('/v1/catalog', curl => [ '--http1.1' ])->{version}, '1.1',
       'HTTP/1.1');
    is(get('/v1/catalog', curl => [ '--tls-max', '1.2' ])->{status}, 200,
       'TLS 1.2');

    is($answer->{headers}{'strict-transport-security'}, 'max-age=31536000',
       'HSTS');
    is($answer->{headers}{server}, 'nginx', 'no version is told');

    like(get('/v1/catalog', curl => [ '--tlsv1.0', '--tls-max', '1.1',
                                      '--ciphers', 'DEFAULT@SECLEVEL=0' ])
             ->{body}, qr/alert protocol version/, 'no TLS 1.1');
    like($api->ask({ https => 'other.example.com' }, 8100, 'GET', '/v1/catalog')
             ->{body}, qr/unrecognized name/, 'no handshake for other names');
    like($api->curl('-k', 'https://127.0.0.1:' . $api->port(8100) . '/')
             ->{body}, qr/unrecognized name/, 'nor for none');

    for my $version ('--http1.1', '--http2') {
        problem($api->ask({ %$tls, curl => [ $version ] }, 8100, 'GET',
                          '/v1/catalog', Host => 'other.example.com'),
                421, "another name in a connection that is open, $version");
    }

    $answer = $api->ask(8101, 'GET', '/v1/catalog');

    problem($answer, 403, 'without TLS');
    ok(!$answer->{headers}{location}, 'it is not redirected');
    ok(!$answer->{headers}{'strict-transport-security'}, 'without HSTS');

    # What nginx would answer with a page of its own

    for my $case ([ 8101, 403, 'GET', '/', curl => [ '-H', 'Host: a b' ] ],
                  [ 8101, 403, 'TRACE', '/' ],
                  [ 8101, 403, 'GET', '/' . 'x' x 9000 ],
                  [ 8100, 421, 'GET', '/v1/catalog' ],
                  [ 8100, 421, 'TRACE', '/v1/catalog' ])
    {
        my ($port, $status, $method, $path, %o) = @$case;

        problem($api->ask(\%o, $port, $method, $path), $status,
                substr("$method $path", 0, 20) . " without TLS on $port");
    }
}


# Before tokens: they are not asked for.

sub routes {
    for my $case ([ GET => '/' ], [ GET => '/v1' ], [ GET => '/v1/orders/x' ],
                  [ GET => '/v1/catalog/' ], [ GET => '/v1/catalog/1/2' ],
                  [ GET => '/v1/catalogs' ], [ GET => '/_problem' ],
                  [ OPTIONS => '/v2' ], [ DELETE => '/v1/orders/-1' ])
    {
        problem($api->ask($tls, 8100, @$case), 404, "@$case");
    }

    for my $case ([ DELETE => '/v1/orders', 'GET, HEAD, POST' ],
                  [ PUT => '/v1/orders/7', 'GET, HEAD, DELETE' ],
                  [ POST => '/v1/catalog', 'GET, HEAD' ],
                  [ GET => '/v1/files/x', 'PUT' ],
                  [ TRACK => '/v1/reports/2026', 'GET, HEAD' ])
    {
        my $allow = pop @$case;
        my $answer = $api->ask($tls, 8100, @$case);

        problem($answer, 405, "@$case");
        is($answer->{headers}{allow}, $allow, '  says what is allowed');
    }

    my $answer = $api->ask($tls, 8100, 'OPTIONS', '/v1/orders');

    is($answer->{status}, 204, 'OPTIONS');
    is($answer->{headers}{allow}, 'GET, HEAD, POST', '  says it as well');
    is(ask(HEAD => '/v1/orders', user())->{status}, 200, 'HEAD follows GET');

    my ($entry) = $api->logged(method => 'HEAD');

    is($entry->{route}, '/v1/orders', 'the route is logged');
    is($entry->{service}, 'orders', 'and the service');
}


# What a service may read in another way.

sub refused {
    for my $path ('//v1/catalog', '/v1//catalog', '/v1/./catalog',
                  '/v1/orders/../catalog', '/v1/catalog/..%2forders',
                  '/v1/catalog/%2e%2E/orders', '/v1/catalog/..;/orders',
                  '/v1/catalog/a;b', '/v1/catalog/%3Bb', '/v1/catalog/a\\b',
                  '/v1/catalog/a%5Cb', '/v1/catalog/%252e%252e',
                  '/v1/catalog/a%0d%0ab', '/v1/catalog/%7f',
                  '/v1/catalog/.git', '/v1/catalog?access_token=x',
                  '/v1/catalog?a&JWT=x')
    {
        problem(get($path), 400, $path);
    }

    problem(get('/', curl => [ '--request-target', '/v1/catalog#/../orders' ]),
            400, 'a fragment');
    problem(get('/v1/catalog', curl => [ '--http1.1', '-H', 'Host: a b' ]), 400,
            'a request that cannot be read');
    problem($api->ask($tls, 8100, 'TRACE', '/v1/catalog'), 405, 'TRACE');
    problem(get('/v1/catalog', curl => [ '--http1.1', '-H',
                'Transfer-Encoding: chunked', '-H', 'Content-Length: 3',
                '-d', 'abc' ]), 400, 'two lengths');

    is(get('/v1/catalog/caf%C3%A9%20au~lait?at=../x//y;z')->{status}, 200,
       'what is no doubt is none');
}


sub cors {
    my @cors = (qw( access-control-allow-origin access-control-allow-methods
                    access-control-allow-headers access-control-max-age ));

    my $preflight = sub {
        my ($method, $path, $origin) = @_;

        my $answer = $api->ask($tls, 8100, 'OPTIONS', $path, Origin => $origin,
            'Access-Control-Request-Method' => $method,
            'Access-Control-Request-Headers' => 'authorization');

        return ($answer->{status}, @{ $answer->{headers} }{@cors});
    };

    is_deeply([ $preflight->('POST', '/v1/orders', 'https://app.example.com') ],
              [ 204, 'https://app.example.com', 'GET, HEAD, POST',
                'Authorization, Content-Type, Idempotency-Key', 600 ],
              'a preflight, without a token');
    is(($preflight->('GET', '/v1/reports/2026', 'https://partner.example.org'))
           [1], 'https://partner.example.org', 'of the other site');

    for my $origin ('https://app.example.com.evil.example', 'null', '*',
                    'https://evil.example', 'http://app.example.com',
                    'https://xapp.example.com', 'https://app.example.com:444',
                    'HTTPS://APP.EXAMPLE.COM.')
    {
        is_deeply([ $preflight->('POST', '/v1/orders', $origin) ],
                  [ 204, undef, undef, undef, undef ], "none for $origin");
    }

    for my $case ([ GET => '/v1/catalog', 200 ], [ GET => '/v1/orders', 401 ],
                  [ GET => '/v1', 404 ], [ GET => '//', 400 ],
                  [ POST => '/v1/catalog', 405 ])
    {
        my ($method, $path, $status) = @$case;
        my $answer = $api->ask($tls, 8100, $method, $path,
                               Origin => 'https://app.example.com');
        my $headers = $answer->{headers};

        is($answer->{status}, $status, "$status for a script");
        is($headers->{'access-control-allow-origin'}, 'https://app.example.com',
           '  which can read it');
        like($headers->{'access-control-expose-headers'}, qr/^RateLimit,/,
             '  and its headers');
        is($headers->{vary}, 'Origin', '  and caches know');
        ok(!defined $headers->{'access-control-allow-credentials'},
           '  without cookies');
        ok(!defined $headers->{'access-control-allow-methods'},
           '  which was no preflight');
    }

    my $answer = catalog();

    ok(!defined $answer->{headers}{'access-control-allow-origin'},
       'what is from the cache is for no origin');
    is($answer->{headers}{vary}, 'Origin', 'and says that it may be another');
}


sub tokens {
    my %cases = (
        'no token'           => [ undef, 401, 'missing' ],
        'no JWT'             => [ 'x', 401, 'malformed' ],
        'another key'        => [ jwt({}, key => 'rsa_other', kid => 'rsa' ),
                                  401, 'bad_signature' ],
        'another algorithm'  => [ jwt({}, alg => 'RS512'), 401,
                                  'bad_algorithm' ],
        'no signature'       => [ jwt({}, alg => 'none', sign_as => 'EdDSA',
                                      signature => sub { '' },
                                      key => 'ed25519' ), 401,
                                  'bad_algorithm' ],
        'another issuer'     => [ jwt({ iss => 'https://evil.example' }), 401,
                                  'unknown_issuer' ],
        'another audience'   => [ jwt({ aud => 'other' }), 401,
                                  'wrong_audience' ],
        'an expired one'     => [ jwt({ exp => at(-60) }), 401, 'expired' ],
        'one for a week'     => [ jwt({ exp => at(7 * 86400) }), 401,
                                  'too_long_lived' ],
        'one of nobody'      => [ jwt({ sub => undef }), 403,
                                  'claim_rejected' ],
        'a name with spaces' => [ jwt({ sub => 'alice x' }), 403,
                                  'claim_rejected' ],
        'a name with more'   => [ jwt({ sub => "alice\n" }), 403,
                                  'claim_rejected' ],
        'ES256'              => [ jwt({}, key => 'p256'), 200, 'ok' ],
    );

    for my $name (sort keys %cases) {
        my ($token, $status, $why) = @{ $cases{$name} };
        my $path = '/v1/orders/' . ++$users;
        my $answer = $api->ask($tls, 8100, 'GET', $path,
                               defined $token ? bearer($token) : ());

        if ($status == 200) {
            is($answer->{status}, 200, $name);

        } else {
            problem($answer, $status, $name);
        }

        is(($api->logged(uri => $path))[0]{jwt}, $why, "  is logged as $why");
    }

    my $read = jwt({ sub => user_name(), scope => 'orders:read' });
    my $write = jwt({ sub => user_name(), scope => 'orders:write' });

    problem(ask(POST => '/v1/orders', $read, '{}'), 403, 'without the scope');
    problem(ask(DELETE => '/v1/orders/7', $read), 403, 'nor DELETE');
    problem(ask(PUT => '/v1/files/x', $write, 'x'), 403, 'nor a file');
    problem($api->ask($tls, 8100, 'POST', '/v1/orders', '{}'), 401,
            'POST without a token');
    is(ask(POST => '/v1/orders', $write, '{}')->{status}, 200, 'with it');

    my $body = decode_json(ask(GET => '/v1/orders', $write)->{body});

    is($body->{scope}, 'orders:write', 'the service is told');
}


sub sizes {
    my $write = user(scope => 'orders:write files:write');
    my $large = 'x' x 65_537;

    is(ask(POST => '/v1/orders', $write, substr $large, 1)->{status}, 200,
       'a body of 64 kB');
    problem(ask(POST => '/v1/orders', $write, $large), 413, 'one byte more');
    problem($api->ask($http1, 8100, 'POST', '/v1/orders', bearer($write),
                      'Transfer-Encoding' => 'chunked', $large),
            413, 'the same in chunks');

    my $answer = ask(PUT => '/v1/files/x', $write, $large);

    is(decode_json($answer->{body})->{bytes}, 65_537, 'files may be larger');
    problem(ask(PUT => '/v1/files/x', $write, 'x' x 10_485_761), 413,
            'though not than 10 MB');

    problem($api->ask($http1, 8100, 'GET', '/v1/catalog?' . 'x' x 9000), 414,
            'a long URI');
    problem($api->ask($http1, 8100, 'GET', '/v1/catalog', 'X' => 'x' x 9000),
            400, 'a long header');

    my ($entry) = $api->logged(status => 413);

    is($entry->{method}, 'POST', 'logged with its method');
}


# Users see their own answers only, whatever they do.

sub caches {
    my $first = catalog('/v1/catalog/1');

    is(catalog('/v1/catalog/1')->{body}, $first->{body},
       'the catalog is stored');
    isnt(catalog('/v1/catalog/1?x')->{body}, $first->{body}, 'by its query');

    my $range = get('/v1/catalog/2', curl => [ '-r', '0-9' ]);

    is($range->{status}, 200, 'who asks for a part gets the whole');
    is(catalog('/v1/catalog/2')->{body}, $range->{body},
       'which is what is stored');

    my @tokens = (
        alice            => jwt({ sub => 'alice', scope => 'a' }),
        bob              => jwt({ sub => 'bob', scope => 'a' }),
        'alice b'        => jwt({ sub => 'alice', scope => 'a b' }),
        'alice,'         => jwt({ sub => 'alice' }),
        'alice/v1'       => jwt({ sub => 'alice/v1/orders', scope => 'a' }),
    );
    my (%seen, %bodies);

    while (my ($name, $token) = splice @tokens, 0, 2) {
        my $body = ask(GET => '/v1/orders', $token)->{body};
        my $again = ask(GET => '/v1/orders', $token);
        my $told = decode_json($body);

        is($again->{body}, $body, "$name: stored");
        ok(!$seen{"$told->{user} " . ($told->{scope} // '')}++,
           '  for nobody else');
        ok(!$bodies{$body}++, '  and by nobody else');
    }

    my @alice;

    E2E::wait_for(5, sub {
        @alice = $api->logged(uri => '/v1/orders', user => 'alice');
        return @alice == 6;
    });

    is(join(' ', map { $_->{cache} } @alice), 'MISS HIT MISS HIT MISS HIT',
       'as the log says');

    problem($api->ask($tls, 8100, 'GET', '/v1/orders'), 401,
            'what is stored is for nobody without a token');
    problem(ask(GET => '/v1/orders', jwt({ sub => 'alice', scope => 'a',
                                           exp => at(-60) })),
            401, 'nor with one that has expired');

    for my $cache ('shared', 'users') {
        my ($mode) = (stat "$api->{prefix}/public-api_$cache")[2];

        is(sprintf('%03o', $mode & 0777), '700', "$cache: nginx's own files");
    }
}


sub plans {
    my %tokens = (free => user(), pro => user(plan => 'pro'));
    my %burst = (free => 20, pro => 100);
    my %day = (free => 1000, pro => 20000);

    for my $plan ('free', 'pro') {
        my ($policy, $quota) = ask(GET => '/v1/orders', $tokens{$plan})
            ->{headers}{'ratelimit-policy'}
            =~ /"by_user";q=(\d+).*"by_day";q=(\d+)/;

        is($policy, $burst{$plan}, "$plan: so many at once");
        is($quota, $day{$plan}, '  and so many a day');
    }

    my @statuses = many(30, '/v1/orders', $tokens{free});
    my $passed = grep { $_ == 200 } @statuses;

    cmp_ok($passed, '>=', 19, 'free: one was asked for before');
    cmp_ok($passed, '<', 25, 'and others are refused');

    my $answer = ask(GET => '/v1/orders', $tokens{free});

    problem($answer, 429, 'which says so');
    like($answer->{headers}{'retry-after'}, qr/^[1-9]\d*$/,
         '  and for how long');
    is(decode_json($answer->{body})->{'violated-policies'}[0], 'by_user',
       '  of which limit');
    is(($api->logged(status => 429))[0]{zone}, 'by_user', '  as does the log');

    is(ask(GET => '/v1/orders', user())->{status}, 200, 'others are not');
    is(ask(GET => '/v1/orders', $tokens{pro})->{status}, 200, 'nor is pro');
    is(catalog()->{status}, 200, 'nor is the catalog');

    # Two at once of a plan that has 20.

    my $token = user();
    my @reports = map { ask(GET => '/v1/reports/2026', $token)->{status} }
                      1 .. 3;

    is("@reports", '200 200 429', 'a report costs as much as ten');
}


sub addresses {
    my $start = time;
    my @statuses = many(400, '/v1/catalog');
    my $passed = grep { $_ == 200 } @statuses;

    # 50 more each second, of which there should be less than six

    cmp_ok($passed, '<=', 101 + 50 * (time - $start),
           'an address has 100 at once');
    is($passed + grep({ $_ == 429 } @statuses), 400, 'and 429 beyond');
    is(($api->logged(status => 429, uri => '/v1/catalog'))[0]{zone}, 'by_ip',
       'by its own limit');
    ok((grep { $_ == 429 } many(400, '/v1/orders', 'guessed')),
       'tokens cannot be guessed faster either');
}


sub logs {
    sleep 0.5;

    ask(GET => '/v1/orders/1?secret=hidden', user_token('carol'));

    my ($entry) = $api->logged(user => 'carol');

    like($entry->{time}, qr/^\d{4}-\d\d-\d\dT[\d:]{8}/, 'a time');
    like($entry->{request_id}, qr/^[0-9a-f]{32}$/, 'an id');
    is($entry->{uri}, '/v1/orders/1', 'no query');
    is($entry->{route}, '/v1/orders/:order([0-9]+)', 'the route');

    is_deeply({ map { $_ => $entry->{$_} }
                qw( server client method service user issuer jwt limit
                    status cache upstream upstream_status ) },
              { server => 'api.example.com', client => '127.0.0.1',
                method => 'GET', service => 'orders', user => 'carol',
                issuer => 'example', jwt => 'ok', limit => 'passed',
                status => 200, cache => 'MISS', upstream_status => 200,
                upstream => '127.0.0.1:' . $api->port(8111) }, 'and the rest');

    # JSON numbers, which are not in quotes

    like($api->access_log, qr/"status":200,"bytes":\d+,"seconds":\d\.\d+,/,
         'numbers are numbers');

    get("/v1/catalog/\xff", curl => [ '--http1.1', '--request-target',
                                      "/v1/catalog/\xff" ]);
    is($api->logged(uri => '(bytes beyond ASCII)'), 1,
       'it is JSON all the same');

    ok(!(grep { !ref } $api->logged), 'each line is');
    unlike($api->access_log, qr/eyJ|hidden|access_token/, 'nothing secret');
}


sub services {
    my $secret = 'at Service.java:42, password=hunter2';
    my @json = ('Content-Type' => 'application/json');
    my $answer = sub {
        my ($status, $body, @headers) = @_;

        return answer($status, $body, 'Content-Length' => length $body,
                      @headers);
    };

    return (
        '/v1/catalog'     => $answer->(200, 'catalog', @json,
                                       'Cache-Control' => 'max-age=60'),
        '/v1/catalog/red' => $answer->(200, 'red', @json,
                                       'X-Accel-Redirect' => '/v1/orders',
                                       'X-Powered-By' => 'x',
                                       'Access-Control-Allow-Origin' => '*',
                                       'Access-Control-Allow-Credentials' =>
                                           'true'),
        '/v1/catalog/cookie' => $answer->(200, 'c', 'Set-Cookie' => 'a=b',
                                          'Cache-Control' => 'max-age=60'),
        '/v1/catalog/slow'   => [ [ sleep => 0.8 ], $answer->(200, 'slow') ],
        '/v1/catalog/stop'   => [ [ 'hang' ] ],
        '/v1/catalog/500'    => $answer->(500, $secret),
        '/v1/catalog/503'    => $answer->(503, $secret),
        '/v1/catalog/gone'   => [ [ 'reset' ] ],
        '/v1/catalog/404'    => $answer->(404, '{"mine":1}', @json),
        '/v1/orders'         => $answer->(200, 'orders', @json),
        '/v1/orders/1'       => $answer->(200, 'no', 'Cache-Control' =>
                                          'no-store, max-age=60'),
        '/v1/orders/2'       => $answer->(200, 'private', 'Cache-Control' =>
                                          'private, max-age=60'),
        '/v1/orders/3'       => $answer->(200, 'yes', 'Cache-Control' =>
                                          'max-age=60'),
        '/v1/orders/4'       => $answer->(422, '{"mine":1}', @json),
        '/v1/orders/5'       => $answer->(400, '{"mine":1}', @json),
        '/v1/orders/6'       => $answer->(413, '{"mine":1}', @json),
    );
}


# Whatever clients send, services get what is named in the configuration.

sub headers {
    my $trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    my @evil = map { ($_ => 'evil') } qw(
        X-User X-Scope X_User X-Forwarded-Host X-Forwarded-For X-Real-IP
        X-Forwarded-Proto Forwarded X-Original-URL X-Rewrite-URL
        X-HTTP-Method-Override X-Request-Id Cookie Accept-Language Range
        If-None-Match User-Agent Referer Proxy X-Any );

    ask(GET => '/v1/orders', jwt({ sub => 'dave', scope => 's' }), @evil,
        Accept => 'text/x', traceparent => $trace, tracestate => 'a=b');

    my $seen = (seen('/v1/orders'))[-1];

    is_deeply([ sort keys %$seen ],
              [ qw( accept host traceparent tracestate x-forwarded-for
                    x-forwarded-proto x-request-id x-scope x-user ) ],
              'these reach a service');
    is_deeply({ map { $_ => $seen->{$_} } grep { $_ ne 'x-request-id' }
                keys %$seen },
              { accept => 'text/x', host => 'api.example.com',
                traceparent => $trace, tracestate => 'a=b',
                'x-forwarded-for' => '127.0.0.1',
                'x-forwarded-proto' => 'https', 'x-user' => 'dave',
                'x-scope' => 's' }, 'as the gateway says');

    ask(GET => '/v1/orders', jwt({ sub => 'dave' }), traceparent => "$trace-",
        tracestate => 'a=b');
    $seen = (seen('/v1/orders'))[-1];

    like($seen->{traceparent}, qr/^00-$seen->{'x-request-id'}-/, 'a new trace');
    ok(!defined $seen->{tracestate}, 'without the state of another');

    # A GET may have a body.

    get('/v1/catalog', curl => [ '-d', 'evil', map { ('-H', $_) }
                                 'X-User: evil', 'Accept: evil/evil',
                                 'Authorization: Bearer x' ]);
    $seen = (seen('/v1/catalog'))[-1];

    is_deeply([ sort keys %$seen ], [ qw( host traceparent x-request-id ) ],
              'fewer where the answer is for all');
    is($seen->{host}, 'api.example.com', 'with the name of the gateway');
}


sub stored {
    problem(get('/v1/catalog-admin'), 401, 'what only begins as the catalog');

    my ($dave, $erin) = (user(plan => 'pro'), user(plan => 'pro'));

    for my $n (1 .. 3) {
        ask(GET => "/v1/orders/$n", $_) for $dave, $dave;
    }

    is(scalar seen('/v1/orders/1'), 2, 'no-store');
    is(scalar seen('/v1/orders/2'), 2, 'private');
    is(scalar seen('/v1/orders/3'), 1, 'max-age, for this user');
    ask(GET => '/v1/orders/3', $erin);
    is(scalar seen('/v1/orders/3'), 2, 'not for another');

    catalog('/v1/catalog/cookie') for 1, 2;
    is(scalar seen('/v1/catalog/cookie'), 2, 'no cookie is stored');

    my $answer = catalog('/v1/catalog/red');

    is($answer->{body}, 'red',
       'a service does not redirect within the gateway');
    is_deeply([ grep { /^(?:access-control|x-powered|x-accel)/ }
                sort keys %{ $answer->{headers} } ], [],
              'nor allow what the gateway does not');
}


sub errors {
    for my $case ([ '/v1/catalog/500', 500 ], [ '/v1/catalog/503', 503 ],
                  [ '/v1/catalog/gone', 502 ], [ '/v1/catalog/stop', 504 ])
    {
        my ($path, $status) = @$case;
        my $answer = catalog($path);

        problem($answer, $status, "$path");
        unlike($answer->{body}, qr/hunter2|nginx/, '  and nothing else');
        is(($api->logged(uri => $path))[0]{status}, $status,
           '  in the log, too');
    }

    my $write = user(plan => 'pro', scope => 'files:write orders:write');

    problem(ask(PUT => '/v1/files/x', $write, 'x'), 502, 'nobody is there');

    for my $case ([ GET => '/v1/catalog/404', 404 ],
                  [ GET => '/v1/orders/4', 422 ],
                  [ GET => '/v1/orders/5', 400 ])
    {
        my $answer = ask(@$case[0, 1], $write);

        is("$answer->{status} $answer->{body}", "$case->[2] {\"mine\":1}",
           "$case->[2] of a service passes");
    }

    problem(ask(GET => '/v1/orders/6', $write), 413, 'but 413 does not');
}


sub deadlines {
    my $port = $api->port(8100);

    E2E::output('sh', '-c',
        "(printf 'GET / HTTP/1.1\\r\\nHost: api'; sleep 2.5)"
        . " | openssl s_client -quiet -servername api.example.com"
        . " -connect 127.0.0.1:$port");

    is($api->logged(status => 408), 1, 'half a header');

    E2E::output('sh', '-c',
        "(printf x; sleep 2.5) | curl -sS --max-time 5 --http1.1 -T - -X POST "
        . '--cacert ' . $api->tls('ca.crt') . " --resolve "
        . "api.example.com:$port:127.0.0.1 -H 'Authorization: Bearer "
        . user(plan => 'pro', scope => 'orders:write') . "' "
        . "https://api.example.com:$port/v1/orders");

    is(($api->logged(method => 'POST', uri => '/v1/orders'))[-1]{status}, 408,
       'half a body');

    # Three at once where two may be.

    my @statuses = sort { $a <=> $b } many(3, '/v1/catalog/slow', undef, '-Z');

    is("@statuses", '200 200 503', 'requests under way are limited');
}


sub quotas {
    my $token = user();
    my @statuses = map { ask(GET => '/v1/orders', $token)->{status} } 1 .. 4;

    is("@statuses", '200 200 200 429', 'a quota of three');
    is(($api->logged(status => 429))[-1]{zone}, 'by_day', 'is that of the day');
    is(ask(GET => '/v1/orders', user(plan => 'pro'))->{status}, 200,
       'another plan has more');
}


# The body of a GET would be the beginning of another request, since its length
# is not told.

sub bodies {
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)
        or die "listen: $!\n";
    my $port = $listen->sockport();

    $api->edit('public-api.conf', sub {
        s/(zone +catalog 64k;\s+server +127\.0\.0\.1:)\d+/$1$port/;
    });
    $api->reload;

    my $text = '';
    my $curl = fork // die "fork: $!\n";

    if (!$curl) {
        get('/v1/catalog/body', curl => [ '-d', 'evil' ]);
        POSIX::_exit(0);
    }

    my $service = $listen->accept();

    # and then nothing for a while

    while (IO::Select->new($service)
               ->can_read($text =~ /\r\n\r\n/ ? 0.3 : 10))
    {
        $service->sysread($text, 4096, length $text) or last;
    }

    like($text, qr/^GET [^\r]+\r\n.*\r\n\r\n\z/s, 'nothing comes after a GET');

    close $service;
    waitpid $curl, 0;
}


# A problem document with this status, and the headers that all answers of the
# gateway for this name have.

sub problem {
    my ($answer, $status, $name) = @_;

    my $body = eval { decode_json($answer->{body}) } // {};

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is_deeply([ $answer->{status}, $answer->{headers}{'content-type'},
                $body->{status}, $body->{title} ? 1 : 0 ],
              [ $status, 'application/problem+json', $status, 1 ],
              "$name: $status")
        or diag(explain($answer));
}


# ask(METHOD, PATH, TOKEN, [NAME => VALUE, ...] [BODY])

sub ask {
    my ($method, $path, $token, @rest) = @_;

    return $api->ask($tls, 8100, $method, $path, bearer($token), @rest);
}


sub get {
    my ($path, %o) = @_;

    return $api->ask({ %$tls, %o }, 8100, 'GET', $path);
}


sub catalog {
    return get($_[0] // '/v1/catalog');
}


# Until this address may ask as often as it likes again.

sub rest {
    my ($left) = catalog()->{headers}{ratelimit} =~ /"by_ip";r=(\d+)/;

    sleep((100 - $left) / 50);
}


# The statuses of so many requests of one connection, in a row.

sub many {
    my ($count, $path, $token, @options) = @_;

    my $port = $api->port(8100);

    my $output = E2E::output(
        'curl', '-s', '--cacert', $api->tls('ca.crt'), '--resolve',
        "api.example.com:$port:127.0.0.1", '-o', '/dev/null', @options,
        '-w', '%{http_code}\n', defined $token ? ('-H', join ': ',
                                                  bearer($token)) : (),
        "https://api.example.com:$port$path?[1-$count]");

    return $output =~ /^(\d+)$/mg;
}


sub bearer {
    return (Authorization => "Bearer $_[0]");
}


# The token of a user who has not asked for anything yet.

sub user {
    my (%claims) = @_;

    return jwt({ sub => user_name(), %claims });
}


sub user_token {
    my ($name, %claims) = @_;

    return jwt({ sub => $name, %claims });
}


sub user_name {
    return 'user-' . ++$users;
}


# The headers of the requests to a path so far.

sub seen {
    my ($path) = @_;

    return map {
        my %headers = map { /^([^:]+): (.*)$/ ? (lc $1 => $2) : () }
                          split /\\n/, $_->{head};

        \%headers;
    } $service->seen($path);
}
