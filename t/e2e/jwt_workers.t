#!/usr/bin/perl

# Four workers under load while keys are rotated, key files break and a worker
# is killed: no token gets a wrong answer, and no memory is lost.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use E2E;
use E2EClient;
use E2ELoad;
use NgxGatewayJWT;
use Test::More;
use Time::HiRes qw( sleep );

my $clients = 3;
my $rotations = 6;
my $reloads = 25;

my $keys = E2E::dir() . '/keys.json';
my $backend_port = E2E::free_port();

my $backend = E2E->start(name => 'backend', port => $backend_port,
                         http => <<"_EOC_");
server {
    listen 127.0.0.1:$backend_port;
    keepalive_requests 1000000;

    location / {
        return 200 \$http_x_sub;
    }
}
_EOC_

# Keys of generations: at any time the file has two, the one that is going
# and the one that is coming, and a key that stays.

my @generations = map { (qw( p256 ed25519 rsa ))[$_ % 3] . "_e2e$_" }
                  0 .. $rotations + 1;

write_keys(0, 1);

my $port = E2E::free_port();

my $nginx = E2E->start(name => 'gateway', port => $port, workers => 4,
                       http => <<"_EOC_");
upstream backend {
    server 127.0.0.1:$backend_port;
    keepalive 16;
}

# smaller than the number of tokens, so that they push each other out

gateway_jwt_cache size=64;

gateway_jwt_issuer corp {
    issuer $NgxGatewayJWT::ISSUER;
    audience $NgxGatewayJWT::AUDIENCE;
    key_file $keys;
}

server {
    listen 127.0.0.1:$port;
    keepalive_requests 1000000;

    location / {
        gateway_jwt api issuer=corp;
        add_header X-Status \$gateway_jwt_status always;
        proxy_pass http://backend;
        proxy_http_version 1.1;
        proxy_set_header Connection '';
        proxy_set_header X-Sub \$gateway_jwt_claim_sub;
    }
}
_EOC_

is(scalar $nginx->workers, 4, 'four workers');

my $tokens = tokens();

# The clients do notice: they are told that the second generation is bad, and
# the last one good.

{
    my $load = E2ELoad->new($port, 1, $tokens);

    # one in nine of the requests is of each kind

    $load->use([ $#generations ], [ 1 ]);
    E2E::wait_for(20, sub { $load->asked > 300 });

    my $wrong = join "\n", @{ $load->stop->{wrong} };

    like($wrong, qr/^good .*: "401 unknown_key", not "200 /m,
         'a good token that is refused is noticed');
    like($wrong, qr/^bad .*: "200 ok .*", not "401 /m,
         'so is a bad one that is not');
}

my $load = E2ELoad->new($port, $clients, $tokens);

$load->use([ 0, 1 ], [ 2 .. $#generations ]);
sleep 0.3;


# Keys come and go.

my ($first) = $nginx->workers;

for my $new (1 .. $rotations) {
    my $old = $new - 1;

    # what is true of the keys before as well as after the reload

    $load->use([ $new ], [ grep { $_ < $old || $_ > $new + 1 }
                           0 .. $#generations ]);
    write_keys($new, $new + 1);

    ok($nginx->reload, "reload with generations $new and " . ($new + 1));

    $load->use([ $new, $new + 1 ], [ grep { $_ < $new || $_ > $new + 1 }
                                     0 .. $#generations ]);
    sleep 0.2;
}

isnt(($nginx->workers)[0], $first, 'these were other workers');


# A worker dies.

for (1 .. 2) {
    my ($victim) = $nginx->workers;

    kill 'KILL', $victim;

    ok(E2E::wait_for(10, sub {
        my @workers = $nginx->workers;
        return @workers == 4 && !grep { $_ == $victim } @workers;
    }), 'a worker that was killed is replaced');

    sleep 0.3;
}


# Key files that are no good.

my $good = E2E::slurp($keys);

my @broken = (
    [ 'an empty file', '' ],
    [ 'half a file', substr $good, 0, length($good) / 2 ],
    [ 'a file of something else', "<html>502 Bad Gateway</html>\n" ],
    [ 'no keys', '{"keys":[]}' ],
    [ 'no keys of use', '{"keys":[{"kty":"XYZ","kid":"a"}]}' ],
    [ 'not a list of keys', '{"keys":"none"}' ],
    [ 'a private key', pem_private('p256_base') ],
    [ 'no file' ],
);

for my $case (@broken) {
    my ($name, $text) = @$case;
    my @before = $nginx->workers;

    $nginx->log;
    unlink $keys;
    E2E::spew($keys, $text) if defined $text;
    $nginx->hup;

    my $log = $nginx->wait_log(qr/\[emerg\]/);
    my ($emerg) = $log =~ /\[emerg\] \d+#\d+: (.*)/;

    like($emerg, qr/\Q$keys\E|key files of gateway_jwt_issuer "corp"/,
         "$name: the log names the file, or whose keys are missing");
    unlike($emerg // '', qr/\bd\b|"k"|PRIVATE|MIG/, "$name: and shows no key");
    note($emerg // '');
    is_deeply([ $nginx->workers ], \@before, "$name: the workers go on");
    sleep 0.1;
}

E2E::spew($keys, $good);
ok($nginx->reload, 'a reload once the file is good again');
sleep 0.3;


# Workers do not grow with the number of requests.

SKIP: {
    skip('memory says nothing with sanitizers', 1) if E2E::sanitized();

    my $before = memory($nginx->workers);
    sleep 1.5;
    my $after = memory($nginx->workers);

    note("the workers' memory: $before kB, then $after kB");
    cmp_ok($after - $before, '<', 2048, 'the workers do not grow');
}


# What the clients saw.

my $result = $load->stop;

is(join("\n", splice @{ $result->{wrong} }, 0, 20), '', 'no wrong answer');
cmp_ok($result->{good}, '>', 500, 'good tokens were sent');
cmp_ok($result->{bad}, '>', 500, 'bad tokens were sent');
cmp_ok($result->{expired}, '>', 0, 'tokens expired meanwhile');
cmp_ok($result->{broken}, '<=', 2 * $clients,
       'answers ended early for none but clients of killed workers');
note("$result->{good} good, $result->{bad} bad, $result->{expired} expired,"
     . " $result->{again} asked again, $result->{broken} broken");


# Neither good nor refused reloads cost memory.  A hundred keys make losses
# large.

SKIP: {
    skip('memory says nothing with sanitizers', 2) if E2E::sanitized();

    my $many = jwks(map { jwk($generations[$_ % 3], kid => "many$_") }
                    0 .. 99);

    E2E::spew($keys, $many);
    $nginx->reload for 1 .. 5;

    my $before = E2E::memory($nginx->pid);
    my $workers = memory($nginx->workers);

    $nginx->reload for 1 .. $reloads;

    my $after = E2E::memory($nginx->pid);
    my $others = memory($nginx->workers);

    note("the master's memory: $before kB, after $reloads reloads $after kB");
    note("the workers' memory: $workers kB, then $others kB");
    cmp_ok($after - $before, '<', 1024, 'the master does not grow');
    cmp_ok($others - $workers, '<', 4 * 1024, 'nor do workers');

    # The last key of the file is what it is refused for.

    E2E::spew($keys, substr($many, 0, -2) . ',{"kty":"EC","crv":"P-256"');

    for (1 .. $reloads) {
        $nginx->log;
        $nginx->hup;
        $nginx->wait_log(qr/\[emerg\]/);
    }

    my $refused = E2E::memory($nginx->pid);

    note("after $reloads reloads that were refused: $refused kB");
    cmp_ok($refused - $after, '<', 1024, 'refused reloads cost none');
}

$nginx->stop;
$backend->stop;

$nginx->clean_log('the log has no errors but the expected',
                  qr/\[emerg\] .*(?:\Q$keys\E|gateway_jwt_issuer "corp")/,
                  qr/\[alert\] .* worker process \d+ exited on signal 9/);

done_testing();


sub write_keys {
    my (@now) = @_;

    E2E::spew("$keys.new",
              jwks('p256_base', map { $generations[$_] } @now));
    rename "$keys.new", $keys or die "$keys: $!\n";
}


# Tokens of each generation and of the key that stays: [ token, sub ] or
# [ token, status ].

sub tokens {
    my @of = map { my $key = $_; [ map { good_token($key, $_) } 1 .. 30 ] }
             @generations;

    my @always = map { good_token('p256_base', $_) } 1 .. 100;
    my @expiring;

    for my $seconds (2 .. 6) {
        my $exp = at($seconds);
        my $token = good_token('p256_base', "e$seconds", exp => $exp);

        push @expiring, [ @$token, $$exp ];
    }

    my ($x, $y) = map { $_->[0] } @always;
    my @x = split /\./, $x;
    my @y = split /\./, $y;

    my @never = (
        [ jwt({ exp => at(-10) }, key => 'p256_base') => 'expired' ],
        [ jwt({ nbf => at(3600) }, key => 'p256_base') => 'not_yet_valid' ],
        [ jwt({ aud => 'else' }, key => 'p256_base') => 'wrong_audience' ],
        [ jwt({ iss => 'else' }, key => 'p256_base') => 'unknown_issuer' ],
        [ jwt({}, key => 'p256_other') => 'unknown_key' ],
        [ jwt({}, key => 'p256_other', kid => 'p256_base')
          => 'bad_signature' ],
        [ jwt({}, key => 'p256_base', header => { alg => 'none' })
          => 'bad_algorithm' ],
        [ "$x[0].$x[1].$y[2]" => 'bad_signature' ],
        [ "$x[0].$y[1].$x[2]" => 'bad_signature' ],
        [ "$x[0].$x[1].$x[2]AA" => 'bad_signature' ],
        [ "$x[0].$x[1]" => 'malformed' ],
        [ 'x.y.z' => 'malformed' ],
    );

    return { of => \@of, always => \@always, never => \@never,
             expiring => \@expiring };
}


sub good_token {
    my ($key, $n, %claims) = @_;

    my $sub = "$key-$n";

    return [ jwt({ sub => $sub, %claims }, key => $key) => $sub ];
}


sub memory {
    my $sum = 0;

    $sum += E2E::memory($_) for @_;

    return $sum;
}
