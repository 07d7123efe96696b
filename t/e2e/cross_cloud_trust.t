#!/usr/bin/perl

# Whom the gateways of conf.example/cross-cloud.conf trust: who may come as a
# gateway, what clients hear when gateways do not trust each other, and how
# certificates and their authority are replaced and revoked.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use E2E;
use E2ECrossCloud qw( access_log is_problem token );
use E2EExample;
use JSON::PP ();
use Test::More;

E2E::need('curl', 'curl');

my $gateway = E2EExample->start('cross-cloud',
    jwks => { 'keys/east.jwks' => [ 'rsa' ],
              'keys/west.jwks' => [ 'p256' ] });

my $guide = E2E::slurp("$E2E::ROOT/docs/guide-cross-cloud.md");
my $conf = "$gateway->{dir}/conf.example/cross-cloud.conf";
my $text = E2E::slurp($conf);
my $tls = $gateway->tls('');
my $other = E2E::dir() . '/foreign';
my $asked = 0;

E2E::output("$E2E::ROOT/auto/certificates", $other);

who_may_come();
who_is_asked();
refused();
expired();
another_authority();
revoked();
too_large();

$gateway->stop;
$gateway->clean_log('the log has no errors but the expected',
                    qr/upstream SSL certificate|too large/);

done_testing();


sub who_may_come {
    my @strangers = (
        [ 'without a certificate' => [] ],
        [ 'with one of another authority' =>
              cert("$other/gateway.west.example.com") ],
        [ 'with that of somebody else' => cert('client.example.com') ],
        [ 'with one that is for servers' => cert('api.west.example.com') ],
        [ 'with its own' => cert('gateway.east.example.com') ],
    );

    for my $stranger (@strangers) {
        my ($name, $options) = @$stranger;

        problem(peer('east', $options, token('west'),
                     'X-From-Gateway' => 'gateway.west.example.com'),
                421, "$name: refused");
        is(logged('east')->{upstream}, '', '... and nobody was asked');
    }

    my $good = cert('gateway.west.example.com');

    is(peer('east', $good, token('west'))->{status}, 200,
       'with the right one: let in');
    is(peer('east', $good)->{status}, 401, '... not without a token');
    is(peer('east', $good, token('west'), path => '/invoices/')->{status}, 404,
       '... and not for what is elsewhere');
    is(peer('east', $good, token('west'),
            Via => '1.0 x, 1.1 Gateway.East.example.com (x)')->{status}, 508,
       '... and not in circles');
    is(peer('east', $good, token('west'),
            Via => '1.1 a-gateway.east.example.com, 1.1 east')->{status}, 200,
       '... which is by the whole name');

    # The same in the west

    is(peer('west', [], token('west'))->{status}, 421,
       'west, without a certificate: refused');
    is(peer('west', $good, token('west'))->{status}, 421,
       'west, with its own: refused');
    is(peer('west', cert('gateway.east.example.com'), token('west'))->{status},
       200, 'west, with the right one: let in');
}


# Those that the gateway asks have to show theirs as well.

sub who_is_asked {
    for my $case ([ 'another name', "${tls}api.west.example.com",
                    'upstream SSL certificate does not match' ],
                  [ 'another authority', "$other/gateway.west.example.com",
                    '(21:unable to verify the first certificate)' ]) {
        my ($name, $file, $message) = @$case;

        change("the west has a certificate of $name", sub {
            s{(BEGIN\ WEST.*server_name\ +gateway\.west.*?ssl_certificate\ +)
              \S+(;.*?ssl_certificate_key\ +)\S+;}{$1$file.crt$2$file.key;}sx;
        });

        distrusted($name, $message);
    }

    trusted('with the right one');
}


# A gateway that is not let in is a failure of the gateways: clients are not
# told that something is forbidden to them, and alarms see it.

sub refused {
    change('the east shows the certificate of somebody else', sub {
        s{(proxy_ssl_certificate(?:_key)?\ +\S*)gateway\.east}{$1client}gx;
    });

    problem(ask('east', 'GET', '/invoices/'), 502, 'what the west has');
    is(logged('east')->{upstream_status}, '421', '... and refuses');
    is(logged('west')->{upstream}, '', '... so that nobody was asked');

    for my $method ('GET', 'POST') {
        problem(ask('east', $method, '/orders/', '?east=503'),
                $method eq 'GET' ? 502 : 503, "$method: what both have");
        is(logged('east')->{upstream_status},
           $method eq 'GET' ? '503 : 421' : '503', '... is nobody\'s');
    }

    is(ask('east', 'GET', '/orders/')->{status}, 200, 'it has its own');
    is(ask('west', 'GET', '/catalog/')->{status}, 200, 'and the west has it');
}


# A certificate is for both sides of a connection.

sub expired {
    sign('gateway.west.example.com', -1);
    change('the certificate of the west has expired');

    distrusted('expired', '(10:certificate has expired)');

    problem(ask('west', 'GET', '/catalog/'), 502, 'it is not let in, either');
    is(logged('west')->{upstream_status}, '421', '... but refused');

    sign('gateway.west.example.com', 30);
    trusted('with a new one');
}


# First both gateways trust the new one as well, then it signs for each.

sub another_authority {
    my $old = E2E::slurp("${tls}ca.crt");

    E2E::spew("${tls}ca.crt", $old . E2E::slurp("$other/ca.crt"));
    trusted('with both authorities');

    for my $cloud ('west', 'east') {
        for my $suffix ('crt', 'key') {
            E2E::spew("${tls}gateway.$cloud.example.com.$suffix",
                      E2E::slurp("$other/gateway.$cloud.example.com.$suffix"));
        }

        trusted("the $cloud has its certificate of the new one");
    }

    # The gateways alone: the servers of clients are of the old one.

    change('the old one is not trusted any more', sub {
        s{(ssl_(?:trusted|client)_certificate\ +)\S+;}{$1$other/ca.crt;}gx;
    });
    is(ask('east', 'GET', '/invoices/')->{status}, 200, '... nor needed');
    is(ask('west', 'GET', '/catalog/')->{status}, 200, '... on either side');
    is(peer('east', cert('api.west.example.com'), token('west'))->{status},
       421, '... and does not let in');
}


# By the guide's lines: one for those that come, one for those that are asked.

sub revoked {
    my ($lines) = $guide =~ /^```nginx http\n(ssl_crl.*?)^```$/ms;
    my $openssl = "$other/openssl.cnf";

    $lines =~ s{/etc/nginx/tls}{$other}g;

    E2E::spew("$other/index.txt", '');
    E2E::spew("$other/number", '01');
    E2E::spew($openssl, "[ca]\ndefault_ca = d\n[d]\n"
                        . "database = $other/index.txt\n"
                        . "crlnumber = $other/number\n"
                        . "certificate = $other/ca.crt\n"
                        . "private_key = $other/ca.key\n"
                        . "default_md = sha256\ndefault_crl_days = 30\n");

    for my $what ([ '-revoke', "$other/gateway.west.example.com.crt" ],
                  [ '-gencrl', '-out', "$other/crl.pem" ]) {
        E2E::output('openssl', 'ca', '-config', $openssl, @$what);
        is($?, 0, "openssl ca $what->[0]");
    }

    change('the certificate of the west is revoked', sub {
        s{(ssl_(?:trusted|client)_certificate\ +)\S+;}{$1$other/ca.crt;}gx;
        s{^http\ \{\n}{$&$lines}mx;
    });

    distrusted('revoked', '(23:certificate revoked)');
    problem(ask('west', 'GET', '/catalog/'), 502, 'it is not let in, either');
}


# Larger than client_max_body_size, which is found out before or after a part
# of it has been read.

sub too_large {
    my $body = 'x' x (1024 * 1024 + 1);

    for my $cloud ('east', 'west') {
        for my $headers ([], [ 'Transfer-Encoding' => 'chunked' ]) {
            problem(ask($cloud, 'POST', '/orders/', '', @$headers, $body),
                    413, "$cloud: a body that is too large");
        }
    }
}


# Another text of the configuration, or other files that it names

sub change {
    my ($name, $edit) = @_;

    E2E::spew($conf, $text);
    $gateway->edit('cross-cloud.conf', $edit) if $edit;

    ok($gateway->reload, $name);
    $gateway->log;
}


sub trusted {
    my ($name) = @_;

    change($name);

    is(ask('east', 'GET', '/invoices/')->{status}, 200,
       '... the east may ask the west');
    is(ask('west', 'GET', '/catalog/')->{status}, 200,
       '... and the west the east');
}


# The east does not trust what the west shows, for the reason in its log, which
# the guide knows.

sub distrusted {
    my ($name, $message) = @_;

    problem(ask('east', 'GET', '/invoices/'), 502,
            "$name: the east does not ask it");
    logged('east');
    unlike(access_log($gateway, 'west'), qr/"uri":"\/invoices\/$asked"/,
           '... and sends it nothing');
    like($gateway->log, qr/\Q$message\E/, '... as the log of errors says');
    like($guide, qr/^\| .*\Q$message\E.* \|$/m, '... and the guide');
}


# A certificate for the key that there is, valid for so many days

sub sign {
    my ($name, $days) = @_;

    my $log = E2E::output('sh', '-ec', <<"_EOC_");
cd '$tls'
openssl x509 -x509toreq -copy_extensions copyall -in $name.crt \\
    -signkey $name.key -out $name.csr
openssl x509 -req -copy_extensions copyall -in $name.csr -CA ca.crt \\
    -CAkey ca.key -days $days -out $name.crt
_EOC_

    is($?, 0, "$name, for $days days") or diag($log);
}


# Each request has a path of its own.

sub ask {
    my ($cloud, $method, $path, $arguments, @more) = @_;

    $asked++;

    return $gateway->ask({ https => "api.$cloud.example.com" },
                         $cloud eq 'east' ? 8120 : 8130, $method,
                         $path . $asked . ($arguments // ''), token('east'),
                         @more);
}


# One who comes as a gateway

sub peer {
    my ($cloud, $options, %headers) = @_;

    my $path = delete $headers{path} // '/orders/';

    $asked++;

    return $gateway->ask({ https => "gateway.$cloud.example.com",
                           curl => $options },
                         $cloud eq 'east' ? 8121 : 8131, 'GET', $path . $asked,
                         %headers);
}


# curl's options for a certificate; a path, or a name in build/tls

sub cert {
    my ($name) = @_;

    my $path = $name =~ m{^/} ? $name : $tls . $name;

    return [ '--cert', "$path.crt", '--key', "$path.key" ];
}


sub problem {
    my ($answer, $status, $name) = @_;

    is($answer->{status}, $status, $name);
    is_problem($answer);
}


# The entry of the last request in a cloud's log

sub logged {
    my ($cloud) = @_;

    my $line = '{}';

    ok(E2E::wait_for(5, sub {
           ($line) = access_log($gateway, $cloud)
                     =~ /^(.*"uri":"\/\w+\/$asked".*)\n/m
       }), "... which is in the log of the $cloud");

    return JSON::PP::decode_json($line // '{}');
}
