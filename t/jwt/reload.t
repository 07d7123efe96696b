
# Reloads: new keys come into force, and nothing that is wrong with a key file
# takes a running gateway down.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayJWT;
use NgxGatewayNginx;

use Test::More;

my $server = <<'_EOC_';
        location /t {
            gateway_jwt "api" issuer=corp;
            add_header X-Status $gateway_jwt_status always;
            add_header X-Sub "[$gateway_jwt_claim_sub]" always;
            empty_gif;
        }
_EOC_

sub http {
    my ($more) = @_;

    return <<"_EOC_";
    gateway_jwt_issuer corp {
        issuer   https://id.example.com;
        key_file %DIR%/keys;
        $more
    }
_EOC_
}

my $nginx = NgxGatewayNginx->new(http => http('audience api;'),
                                 server => $server, workers => 2);

sub status_is {
    my ($token, $status, $name) = @_;

    # more often than there are workers, each of which has a cache

    for my $time (1 .. 6) {
        my $answer = $nginx->get('/t', $token);
        my $got = $answer ? $answer->{headers}{'x-status'} : 'no answer';

        return is($got, $status, "$name, time $time") if $got ne $status;
    }

    return pass("$name: $status");
}

my $old = jwt({}, key => 'rsa');
my $new = jwt({}, key => 'rsa_new');
my $bad = jwt({}, key => 'rsa_other', kid => 'rsa');

$nginx->write_file('keys', jwks('rsa'));
$nginx->start();

sub still {
    my ($when) = @_;

    status_is($old, 'ok', "$when: a token from before");
    status_is(jwt({ sub => $when }), 'ok', "$when: a token of today");
    status_is($new, 'unknown_key', "$when: a key that is not there");
    status_is($bad, 'bad_signature', "$when: a bad signature");
    status_is(undef, 'missing', "$when: no token");

    return;
}

still('at first');

# a key file that vanishes or breaks

my %broken = (
    'a file that vanishes'   => undef,
    'an empty file'          => '',
    'half a file'            => substr(jwks('rsa_new'), 0, 100),
    'something else'         => "<html>502 Bad Gateway</html>\n",
    'no keys'                => '{"keys":[]}',
    'keys that are too weak' => jwks('rsa1024'),
    'a private key'          => pem_private('rsa_new'),
    'broken PEM'             => substr(pem('rsa_new'), 0, 200),
);

for my $name (sort keys %broken) {

    if (defined $broken{$name}) {
        $nginx->write_file('keys', $broken{$name});

    } else {
        unlink $nginx->path('keys') or die "unlink: $!\n";
    }

    my $log = $nginx->reload_fails();

    like($log // '', qr/\[emerg\].*(?:\/keys"|"corp")/,
         "$name: the log names it");
    still($name);
}

# a configuration that is wrong

$nginx->write_file('keys', jwks('rsa_new'));

like($nginx->reload_fails(http => http('')) // '',
     qr/\[emerg\].*no "audience"/, 'no audience: the log names it');
still('no audience');

# keys come and go

$nginx->write_file('keys', jwks(qw( rsa rsa_new )));
ok($nginx->reload(http => http('audience api;')), 'a key is added');
status_is($old, 'ok', 'added: the old key');
status_is($new, 'ok', 'added: the new key');

$nginx->write_file('keys', jwks('rsa_new'));
ok($nginx->reload(), 'a key is taken away');
status_is($old, 'unknown_key', 'taken away: the old key');
status_is($new, 'ok', 'taken away: the new key');

$nginx->write_file('keys', jwks(jwk('rsa_other', kid => 'rsa_new')));
ok($nginx->reload(), 'another key of the same kid');
status_is($new, 'bad_signature', 'same kid: the former key');
status_is(jwt({}, key => 'rsa_other', kid => 'rsa_new'), 'ok',
          'same kid: the new key');

$nginx->write_file('keys', pem('rsa'));
ok($nginx->reload(), 'PEM instead of a JWKS');
status_is($old, 'ok', 'PEM: its key');
status_is($new, 'bad_signature', 'PEM: another key');

# what a block demands changes

ok($nginx->reload(http => http('audience other;')), 'another audience');
status_is($old, 'wrong_audience', 'another audience: a token from before');

ok($nginx->reload(http => http('audience api; algorithms PS256;')),
   'other algorithms');
status_is($old, 'bad_algorithm', 'other algorithms: a token from before');

ok($nginx->reload(http => http('audience api;')), 'as it was');
status_is($old, 'ok', 'as it was: a token from before');

# the check goes, and comes back

ok($nginx->reload(server => "location /t { empty_gif; }\n"), 'no check');
is($nginx->get('/t')->{code}, 200, 'no check: no token');

ok($nginx->reload(server => $server), 'the check is back');
status_is(undef, 'missing', 'the check is back: no token');
status_is($old, 'ok', 'the check is back: a token from before');

# nothing stays open from reload to reload

sub open_files {
    return scalar grep { !/^\./ } do {
        opendir my $dir, "/proc/$nginx->{pid}/fd" or return 0;
        readdir $dir;
    };
}

my $files = open_files();

for my $time (1 .. 5) {
    $nginx->reload() or fail("reload $time");
}

# the workers of before keep their channels open until they have left

for (1 .. 100) {
    last if open_files() <= $files;
    select undef, undef, undef, 0.1;
}

cmp_ok(open_files(), '<=', $files, 'as many open files after five reloads');

unlike($nginx->error_log(), qr/\[(?:alert|crit)\]/, 'no alert in the log');
unlike($nginx->error_log(), qr/eyJ/, 'no token in the log');

$nginx->stop();
ok(!$nginx->alive(), 'stopped');

done_testing();
