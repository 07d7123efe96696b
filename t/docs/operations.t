#!/usr/bin/perl

# What docs/operations.md says: messages of zones that are too small, how much
# goes into one, what a reload keeps, what is left of a killed worker, what its
# questions to the log answer, and that its scripts do what they are for.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use E2E;
use IO::Socket::INET;
use NgxGatewayDocs;
use NgxGatewayJWT;
use POSIX ();
use Test::More;

need_nginx();

# What is not a child of this process.

my %started;

END {
    my $status = $?;

    kill 'TERM', $_ for keys %started;
    $? = $status;
}

my $page = slurp("$ROOT/docs/operations.md");
my $dir = work_dir();

small_zones();
what_fits();
reload();
killed_worker();
log_questions();
keys_of_issuers();
certificates();
upgrade();

done_testing();


# The messages of the page are nginx's own.

sub small_zones {
    my ($text) = $page =~ /^```text\n(invalid parameter .*?)^```/ms;
    my @messages = split /\n/, $text;
    my @configurations = (
        'events {}
         http { gateway_limit_zone $arg_a zone=by_ip:28k rate=1r/s; }',
        'worker_processes 64; events {}
         http { gateway_websocket_zone sockets:32k; }',
        'events {} http { ' . upstream('orders', '64k', 70) . ' }',
    );

    is(scalar @messages, scalar @configurations, 'messages of small zones');

    for my $i (0 .. $#messages) {
        my ($good, $output) = nginx_test(one_line($configurations[$i]));

        ok(!$good, 'a zone that is too small');
        like($output, qr/\Q$messages[$i]\E/, 'is refused as it says');
    }

    my ($warning) = $page =~ /level warn: `([^`]+)`/;

    $warning =~ s/\s+/ /g;
    spew("$dir/files.conf",
         startable("events { worker_connections 8192; }\n")
             =~ s/^error_log .*(?=;)/$& warn/mr);
    like(E2E::output('sh', '-c', 'ulimit -n 1024; exec "$@"', 'sh',
                     nginx_binary(), '-t', '-p', "$dir/",
                     '-e', "$dir/error.log", '-c', "$dir/files.conf"),
         qr/\Q$warning\E/, 'too few files');
}


sub upstream {
    my ($name, $size, $count) = @_;

    return "upstream $name { zone $name $size; "
           . join('', map { 'server 10.0.' . int($_ / 250) . '.'
                            . (1 + $_ % 250) . '; ' } 1 .. $count) . '}';
}


# "http {" at the beginning of a line, where startable() looks for it.

sub one_line {
    my ($text) = @_;

    return $text =~ s/\s*\bhttp \{/\nhttp {\n/r;
}


# How many of what go into a zone.

sub what_fits {
    for ([60, '64k'], [1300, '1m']) {
        my ($count, $size) = @$_;

        ok($page =~ ($size eq '1m' ? qr/\| 1,300 servers;/
                                   : qr/; 60 in 64k \|/), 'as the page says');

        my ($good, $output) = nginx_test(one_line('events {} http { '
                                  . upstream('orders', $size, $count) . ' }'));

        ok($good, "$count servers go into $size") or diag($output);
    }

    my $port = E2E::free_port();
    my $nginx = E2E->start(port => $port, connections => 600, http => "
        gateway_limit_zone  \$arg_k  zone=keys:1m  rate=1r/d on_full=reject;
        gateway_websocket_zone  plain:32k;
        gateway_websocket_zone  told:32k;

        server {
            listen              127.0.0.1:$port;
            keepalive_requests  1000000;

            location / {
                gateway_limit          zone=keys;
                gateway_limit_headers  off;
                stub_status;
            }

            location /plain {
                gateway_websocket_serve  /service zone=plain;
            }

            location /told {
                gateway_websocket_serve       /service zone=told;
                gateway_websocket_disconnect  /service;
            }

            location /service {
                return  204;
            }
        }
    ");

    # 15,000 keys at a time, and 65,000 altogether, with a twentieth of
    # tolerance for the luck of the hash

    my $refused = ask_keys($port, 1, 15_000);

    cmp_ok($refused, '<', 15, '15,000 keys have their buckets in 1 MB');

    $refused += ask_keys($port, 15_001, 100_000);
    cmp_ok(100_000 - $refused, '>', 60_000, 'and 60,000 have when it is full');
    cmp_ok(100_000 - $refused, '<=', 65_536, 'but not more than there is room');
    like($nginx->wait_log(qr/is full/),
         qr/\[warn\].*gateway_limit_zone "keys" is full/, 'the log says so');

    # 32k are the smallest; of a larger one less goes into what is not
    # connections

    my @plain = sockets($port, '/plain');
    my @told = sockets($port, '/told');

    cmp_ok(scalar @plain, '>=', 250, 'connections in 32k');
    cmp_ok(scalar @told, '>=', 120, 'connections in 32k, with disconnect');
    cmp_ok(@plain / @told, '>', 1.8, 'which is half of them');
    like($nginx->wait_log(qr/zone "told" is full/),
         qr/gateway_websocket_zone "plain" is full/, 'the log says so');

    undef $_ for @plain, @told;
    $nginx->clean_log('and nothing worse');
    $nginx->stop();
}


# Requests with the keys $from .. $to on one connection; how many got 429.

sub ask_keys {
    my ($port, $from, $to) = @_;

    my $socket = IO::Socket::INET->new("127.0.0.1:$port") or die "connect: $!";
    my ($refused, $buffer) = (0, '');

    for (my $key = $from; $key <= $to; $key += 100) {
        my $last = $key + 99 < $to ? $key + 99 : $to;

        print $socket map { "HEAD /?k=$_ HTTP/1.1\r\nHost: a\r\n\r\n" }
                      $key .. $last;

        for my $i ($key .. $last) {
            while ($buffer !~ /\r\n\r\n/) {
                sysread $socket, $buffer, 65536, length $buffer
                    or die "the gateway has closed the connection\n";
            }

            $buffer =~ s/^HTTP\S* (\d+).*?\r\n\r\n//s or die "no HTTP\n";
            $refused++ if $1 == 429;
        }
    }

    return $refused;
}


# WebSockets until there is no room for more.

sub sockets {
    my ($port, $uri) = @_;

    my @sockets;

    while (@sockets < 500) {
        my $socket = IO::Socket::INET->new("127.0.0.1:$port") or last;

        print $socket "GET $uri HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                      . "Connection: upgrade\r\nSec-WebSocket-Version: 13\r\n"
                      . "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

        my $status = <$socket> // '';

        if ($status !~ / 101 /) {
            like($status, qr/ 503 /, 'a full zone: 503');
            last;
        }

        push @sockets, $socket;
    }

    return @sockets;
}


sub reload {
    my $port = E2E::free_port();
    my %o = (rate => '1r/h burst=2', size => '1m', key => '$arg_k', more => '');
    my $conf = sub {
        return "
            gateway_limit_zone  $o{key}  zone=keys:$o{size}  rate=$o{rate};

            server {
                listen         127.0.0.1:$port;
                gateway_limit  zone=keys;

                location / {
                    stub_status;
                }

                $o{more}
            }
        ";
    };

    my $nginx = E2E->start(port => $port, http => $conf->());
    my $change = sub {
        my (%new) = @_;
        my $file = "$nginx->{prefix}/nginx.conf";
        my $old = $conf->();

        %o = (%o, %new);
        spew($file, slurp($file) =~ s/\Q$old\E/$conf->()/er);
    };
    my $ask = sub { get("http://127.0.0.1:$port/?k=$_[0]")->{status} };

    is(join(' ', map { $ask->('a') } 1 .. 3), '200 200 429', 'a bucket of two');

    my $idle = E2EClient->new($port);

    is($idle->ask('GET', '/?k=idle')->{status}, 200, 'a kept-alive client');

    ok($nginx->reload, 'a reload');
    is($ask->('a'), 429, 'keeps buckets');
    is($idle->ask('GET', '/?k=idle'), undef, 'idle connections are closed');

    $change->(rate => '1000000r/s burst=2');
    ok($nginx->reload, 'another rate');
    is(join(' ', map { $ask->('b') } 1 .. 4), '200 200 200 200', 'holds');

    $nginx->log;
    $change->(size => '2m', rate => '1r/h burst=2');
    ok($nginx->reload, 'another size');
    is($ask->('a'), 200, 'starts anew');
    like($nginx->wait_log(qr/size has changed/), qr/\[notice\].*start anew/,
         'and is in the log');

    # What is refused leaves everything as it was.

    my @workers = $nginx->workers;

    for my $wrong ({ key => '$arg_other' }, { more => 'gateway_nothing;' }) {
        my %good = %o;

        $change->(%$wrong);
        $nginx->hup;
        like($nginx->wait_log(qr/\[emerg\]/), qr/\[emerg\]/,
             'a configuration that is wrong');
        is("@{[ $nginx->workers ]}", "@workers", 'is not taken');
        is($ask->('c'), 200, 'the old one goes on') if $wrong->{key};
        $change->(%good);
    }

    $nginx->clean_log('nothing else', qr/\[emerg\]/);
    $nginx->stop();
}


# What a worker leaves that is killed with two requests.

sub killed_worker {
    my ($port, $service) = (E2E::free_port(), 0);
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 8)
        or die "listen: $!";

    $service = $listen->sockport();

    my $nginx = E2E->start(port => $port, http => "
        gateway_limit_zone  \$arg_k  zone=keys:1m  rate=1r/h burst=2;
        limit_conn_zone     \$server_name  zone=connections:1m;

        upstream one {
            zone    one 64k;
            server  127.0.0.1:$service max_conns=1;
        }

        server {
            listen         127.0.0.1:$port;
            server_name    gateway;
            gateway_limit  zone=keys;

            location /limited {
                limit_conn  connections 1;
                proxy_pass  http://127.0.0.1:$service;
            }

            location /one {
                proxy_pass  http://one;
            }

            location /status {
                stub_status;
            }
        }
    ");

    my $status = sub { get("http://127.0.0.1:$port$_[0]")->{status} };
    my $active = sub {
        my ($count) = get("http://127.0.0.1:$port/status")->{content}
                          =~ /^Active connections: (\d+)/;
        return $count;
    };

    is($status->('/status?k=a'), 200, 'two of a bucket') for 1 .. 2;

    my @clients = map { E2EClient->new($port) } 1 .. 2;

    $clients[0]->send(E2EClient::request('GET', '/limited'));
    $clients[1]->send(E2EClient::request('GET', '/one'));

    my @held = map { scalar $listen->accept } 1 .. 2;
    my ($worker) = $nginx->workers;

    is($status->('/limited'), 503, 'limit_conn counts the one');
    is($status->('/one'), 502, 'max_conns the other');
    kill 'KILL', $worker;
    ok(E2E::wait_for(10, sub {
           my @workers = $nginx->workers;

           return @workers == 1 && $workers[0] != $worker;
       }), 'another worker is there');
    is($clients[0]->answer, undef, 'requests of the dead one are lost');

    like($nginx->wait_log(qr/exited on signal/),
         qr/\[alert\].*worker process $worker exited on signal 9/,
         'the log says it');
    is($status->('/status?k=a'), 429, 'buckets are what they were');
    is($status->('/limited'), 503, 'limit_conn goes on counting');
    is($status->('/one'), 502, 'and so does max_conns');
    cmp_ok($active->(), '>=', 3, 'and stub_status, two beside this one');

    ok($nginx->reload, 'a reload');
    $listen->close;
    is($status->('/limited'), 503, 'does not change that of limit_conn');
    $nginx->log;
    is($status->('/one'), 502, 'but that of max_conns');
    like($nginx->wait_log(qr/connect\(\) failed/), qr/connect\(\) failed/,
         'the service is asked again');
    cmp_ok($active->(), '>=', 3, 'nor that of stub_status');

    my $file = "$nginx->{prefix}/nginx.conf";

    spew($file, slurp($file) =~ s/connections:1m/connections:2m/r);
    ok($nginx->reload, 'a zone of another size');
    is($status->('/limited'), 502, 'does');

    $nginx->clean_log('nothing else', qr/exited on signal 9/);
    $nginx->stop();
}


# The questions of the page to a log of ours, each with what has to be in its
# answer.

sub log_questions {
    E2E::need('jq', 'jq');

    my ($port, $down) = (E2E::free_port(), E2E::free_port());
    my $nginx = E2E->start(port => $port, http => "
        include $ROOT/conf.example/log.conf;

        gateway_jwt_issuer corp {
            issuer    https://id.example.com;
            audience  api;
            key_file  $dir/keys/stand-in.jwks;
        }

        gateway_limit_zone  \$arg_k  zone=by_key:1m  rate=1r/h burst=2;

        upstream users {
            server  127.0.0.1:$port;
        }

        upstream down {
            server  127.0.0.1:$down;
        }

        gateway_routes  \$service {
            GET  /users/:id  users;
            GET  /down/**    down;
            GET  /some/**    users=1 down=1 sticky=\$arg_u;
        }

        server {
            listen         127.0.0.1:$port;
            server_name    gateway;
            access_log     $dir/gateway_access.log  gateway;

            gateway_jwt    api issuer=corp;
            gateway_limit  zone=by_key after_auth;

            location / {
                gateway_route     \$service;
                proxy_set_header  Host  service;
                proxy_pass        http://\$service;
            }

            location = /home {
                gateway_aggregate {
                    part  user  /_users;
                    part  ads   /_down   optional;
                }
            }

            location = /live {
                gateway_websocket_serve  /_users;
            }

            location = /_users {
                internal;
                proxy_set_header  Host  service;
                proxy_pass        http://users;
            }

            location = /_down {
                internal;
                proxy_pass  http://down;
            }
        }

        server {
            listen        127.0.0.1:$port;
            server_name   service;
            default_type  application/json;
            return        200 '{}';
        }
    ");

    my %good = (authorization => 'Bearer ' . jwt());
    my %late = (authorization => 'Bearer ' . jwt({ exp => at(-60) }));
    my $url = "http://127.0.0.1:$port";
    my $ask = sub { join ' ', map { get("$url$_[0]", %{ $_[1] })->{status} }
                              1 .. $_[2] };

    is($ask->('/users/7?k=alice', \%good, 4), '200 200 429 429', 'users');
    is($ask->('/users/8', \%good, 3), '200 200 200', 'more users');
    is($ask->('/down/x', \%good, 2), '502 502', 'a service that is down');
    is($ask->('/users/7', \%late, 2), '401 401', 'tokens that have expired');
    is($ask->('/users/7', {}, 1), '401', 'no token');
    is($ask->('/home', \%good, 1), '200', 'an aggregate');

    my $shares = join ' ', map { $ask->("/some/x?u=$_", \%good, 1) } 1 .. 20;

    like($shares, qr/200/, 'a split with one side');
    like($shares, qr/502/, 'and the other');

    require NgxGatewayWebSocket;

    my $ws = NgxGatewayWebSocket->open($port, uri => '/live', headers => [
                 Authorization => $good{authorization} ]);

    $ws->send_close(1000);
    $ws->read_frame();
    $ws->disconnect();

    ok(E2E::wait_for(10, sub {
           return slurp("$dir/gateway_access.log") =~ /"uri":"\/live"/;
       }), 'all are in the log');

    my ($id) = slurp("$dir/gateway_access.log")
               =~ /"request_id":"(\w+)".*"uri":"\/home"/;
    my @lines = split /\n/, slurp("$dir/gateway_access.log");

    is(scalar(() = $shares =~ /\d+/g) + 14, scalar @lines, 'one line for each');

    my %expected = (
        'status >= 500' => [ qr{^ +2 502\t/down/\*\*\tdown\t502$}m,
                             qr{^ +\d+ 502\t/some/\*\*\tdown\t502$}m ],
        'group_by'      => [ qr{^/users/:id\t10\t[\d.]+\t[\d.]+$}m,
                             qr{^/down/\*\*\t2\t}m ],
        '.jwt != "ok"'  => [ qr/\A +2 expired\n +1 missing\n\z/ ],
        'rejected'      => [ qr/\A +2 by_key\t127\.0\.0\.1\talice\n\z/ ],
        'partial'       => [ qr/\Auser:200:[\d.]+:2, ads:502:[\d.]+:\d+\n\z/ ],
        '.split'        => [ qr{\A +\d+ /some/\*\*\tdown\t5$}m,
                             qr{^ +\d+ /some/\*\*\tusers\t2\n\z}m ],
        '.close'        => [ qr/\A +1 1000\tclient\n\z/ ],
        'request_id'    => [ qr/\A\{\n.*"uri": "\/home",.*\}\n\z/s ],
    );

    my @questions = grep { /^jq / } $page =~ /^```sh\n(.*?)^```/msg;

    is(scalar @questions, scalar keys %expected, 'questions to the log');

    for my $question (@questions) {
        my ($name) = grep { index($question, $_) >= 0 } sort keys %expected;

        ok(defined $name, 'a question that is known') or next;

        my $patterns = delete $expected{$name};

        $question =~ s{/var/log/nginx(?=/gateway_access\.log)}{$dir};
        $question =~ s/[0-9a-f]{32}/$id/;

        my $answer = E2E::output('sh', '-c', $question);

        like($answer, $_, "$name: the answer") for @$patterns;
    }

    $nginx->clean_log('the log of errors');
    $nginx->stop();
}


# nginx as the page's scripts call it, in a folder of its own.

sub nginx_in_path {
    my ($nginx) = @_;

    mkdir "$dir/bin";
    spew("$dir/bin/nginx", "#!/bin/sh\nexec " . nginx_binary()
         . " -p $nginx->{prefix}/ -e $nginx->{prefix}/error.log"
         . " -c $nginx->{prefix}/nginx.conf \"\$@\"\n");
    chmod 0755, "$dir/bin/nginx";

    return "$dir/bin:$ENV{PATH}";
}


sub keys_of_issuers {
    my ($script) = $page =~ /^```sh\n(#!\/bin\/sh\n# gateway-keys.*?)^```/ms;
    my $port = E2E::free_port();

    spew("$dir/published.jwks", jwks('rsa'));
    spew("$dir/corp.jwks", jwks('rsa'));

    my $nginx = E2E->start(port => $port, http => "
        gateway_jwt_issuer corp {
            issuer    https://id.example.com;
            audience  api;
            key_file  $dir/corp.jwks;
        }

        server {
            listen       127.0.0.1:$port;
            gateway_jwt  api issuer=corp;

            location / {
                stub_status;
            }
        }
    ");

    # Cron's PATH has no nginx, which is where the script looks for it.

    nginx_in_path($nginx);
    spew("$dir/gateway-keys", $script =~ s{(?<=:)/usr/sbin$}{$dir/bin}mr);

    my @command = ('env', '-i', 'PATH=/usr/bin:/bin', 'sh',
                   "$dir/gateway-keys", "file://$dir/published.jwks",
                   "$dir/corp.jwks");
    my $said;
    my $run = sub {
        my ($keys) = @_;

        spew("$dir/published.jwks", $keys) if defined $keys;
        $said = E2E::output(@command);

        return $? >> 8;
    };
    my $token = jwt({}, key => 'p256');
    my $status = sub {
        return get("http://127.0.0.1:$port/",
                   authorization => "Bearer $token")->{status};
    };

    my @workers = $nginx->workers;

    is($run->(), 0, 'keys that have not changed');
    is($said, '', 'are not told of');
    is($status->(), 401, 'a key that is not there yet');
    is($run->(jwks('rsa', 'p256')), 0, 'another key is published');
    ok(E2E::wait_for(10, sub { !grep { !gone($_) } @workers }),
       'the old worker ends');
    is($status->(), 200, 'it is used');
    isnt("@{[ $nginx->workers ]}", "@workers", 'after a reload');

    for my $bad ('{"keys":[]}', '<html>', '',
                 '{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}')
    {
        isnt($run->($bad), 0, 'a set that is of no use');
        isnt($said, '', 'is told of');
        is(slurp("$dir/corp.jwks"), jwks('rsa', 'p256'), 'is not taken');
    }

    unlink "$dir/published.jwks";
    isnt($run->(), 0, 'no set at all');
    is(slurp("$dir/corp.jwks"), jwks('rsa', 'p256'), 'is not taken');
    is(join(' ', glob "$dir/corp.jwks.??????"), '', 'nothing is left lying');
    is($status->(), 200, 'and good tokens are good');

    my $output = E2E::output('flock', $dir, 'timeout', '0.3', @command);

    is($? >> 8, 124, 'one waits for the other') or diag($output);
    $nginx->clean_log('the log', qr/key_file|no usable key/);
    $nginx->stop();
}


# Whether a process has ended; whose child it became may never ask for it.

sub gone {
    my ($pid) = @_;

    return (eval { slurp("/proc/$pid/stat") } // ') X ') =~ /\) [ZX] /;
}


# Certificates that will have expired in two weeks are named.

sub certificates {
    my ($script) = $page =~ /^```sh\n(for file in \S+\.crt; .*?)^```/ms;

    mkdir "$dir/tls";

    for my $days (1, 13, 15, 30) {
        E2E::output('openssl', 'req', '-x509', '-subj', '/CN=api.example.com',
                    '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
                    '-noenc', '-keyout', "$dir/tls/key", '-days', $days,
                    '-out', "$dir/tls/$days.crt");
    }

    $script =~ s{/etc/nginx/tls}{$dir/tls};
    is(join(' ', E2E::output('sh', '-c', $script)
                 =~ m{^\S+/(\d+)\.crt: notAfter=.* GMT$}mg), '1 13',
       'certificates that will expire');
}


# The executable is run anew, by the page's lines; nobody is refused meanwhile.

sub upgrade {
    my ($script) = $page =~ /^```sh\n(nginx -t\nkill -USR2.*?)^```/ms;
    my $port = E2E::free_port();
    my $nginx = E2E->start(port => $port, http => "
        gateway_limit_zone  \$arg_k  zone=keys:1m  rate=1r/h;

        server {
            listen         127.0.0.1:$port;
            gateway_limit  zone=keys;

            location / {
                stub_status;
            }
        }
    ");
    my $status = sub { get("http://127.0.0.1:$port/?k=$_[0]")->{status} };
    my $file = "$nginx->{prefix}/nginx.pid";
    my $old;

    local $ENV{PATH} = nginx_in_path($nginx);

    # It has to be a daemon, as it is when a system starts it.

    $nginx->stop();
    spew("$nginx->{prefix}/nginx.conf",
         slurp("$nginx->{prefix}/nginx.conf") =~ s/^daemon off;\n//mr);
    is(E2E::output('nginx'), '', 'a daemon');
    ok(E2E::wait_for(10, sub { -s $file && $status->('') == 200 }), 'answers');
    ($old) = slurp($file) =~ /(\d+)/;
    $started{$old} = 1;

    is(join(' ', map { $status->('a') } 1 .. 2), '200 429', 'a bucket');

    my $pid = fork // die "fork: $!";

    if (!$pid) {
        open STDERR, '>', "$dir/upgrade.log" or POSIX::_exit(126);
        open STDOUT, '>&', \*STDERR;
        exec { '/bin/sh' } 'sh', '-e', '-c',
             $script =~ s{/run/nginx\.pid}{$nginx->{prefix}/nginx.pid}gr
            or POSIX::_exit(127);
    }

    my (%statuses, $new);

    while (waitpid($pid, POSIX::WNOHANG()) == 0) {
        $statuses{ $status->('') }++;
        Time::HiRes::sleep(0.01);
    }

    is($?, 0, 'an upgrade') or diag(slurp("$dir/upgrade.log"));
    ($new) = slurp($file) =~ /(\d+)/;
    isnt($new, $old, 'another master');
    $started{$new} = 1;
    ok(E2E::wait_for(10, sub {
           $statuses{ $status->('') }++;

           return gone($old);
       }), 'the old one ends');
    delete $started{$old};
    is(join(' ', keys %statuses), '200', 'and all are answered');
    is($status->('a'), 200, 'buckets are full');

    kill 'QUIT', $new;
    ok(E2E::wait_for(10, sub { gone($new) }), 'the end');
    delete $started{$new};
    $nginx->clean_log('the log');
}
