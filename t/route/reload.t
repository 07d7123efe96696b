
# Reloads: new routes come into force, also under load; wrong ones leave the
# old configuration running.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayNginx;

use POSIX ();
use Test::More;
use Time::HiRes qw( sleep time );

my $server = <<'_EOC_';
        gateway_route $to;

        location / {
            add_header X-Told "$to $gateway_path_id$gateway_path_no" always;
            empty_gif;
        }
_EOC_

# both names of captures are always there

sub routes {
    my ($lines) = @_;

    return "gateway_routes \$to {\n$lines\n}\n"
           . "gateway_routes \$names { GET /:id/:no x; }\n";
}

my $nginx = NgxGatewayNginx->new(http => routes('GET /a/:id old;'),
                                 server => $server, workers => 2);

$nginx->start();

# "200 value capture", of all workers

sub at {
    my ($uri) = @_;

    my %told;

    for (1 .. 6) {
        my $answer = $nginx->get($uri);

        $told{ $answer ? join ' ', $answer->{code},
                         $answer->{headers}{'x-told'} =~ /(\S.*)/
                       : 'no answer' } = 1;
    }

    return join ', ', sort keys %told;
}

sub reloaded {
    my ($name, %options) = @_;

    ok($nginx->reload(%options), $name) or diag($nginx->error_log());

    return;
}

is(at('/a/1'), '200 old 1', 'at first');
is(at('/b/1'), '404', 'at first: no route');

reloaded('other routes', http => routes('GET /b/:no new; GET /a/:id old2;'));
is(at('/a/1'), '200 old2 1', 'other routes: a value');
is(at('/b/1'), '200 new 1', 'other routes: a new one');

# files that are included

$nginx->write_file('routes.conf', "GET /a/:id file1;\n");
reloaded('a file', http => routes('include %DIR%/routes.conf;'));
is(at('/a/1'), '200 file1 1', 'a file');
is(at('/b/1'), '404', 'a file: the others are gone');

$nginx->write_file('routes.conf', "GET /a/:id file2;\nGET /b/:id file3;\n");
reloaded('the file has changed');
is(at('/a/1'), '200 file2 1', 'the file has changed');
is(at('/b/1'), '200 file3 1', 'the file has changed: another line');

# a file that is wrong

$nginx->write_file('routes.conf', "GET /a/:id file4;\nGET /a/:no file5;\n");

my $log = $nginx->reload_fails() // '';
my $file = quotemeta $nginx->path('routes.conf');

like($log, qr{\[emerg\].*duplicate route "GET /a/:no" in $file:2,},
     'a wrong file: refused');
like($log, qr{the first one is in $file:1\b}, 'a wrong file: and where');
is(at('/a/1'), '200 file2 1', 'a wrong file: the old routes go on');

$nginx->write_file('routes.conf', "GET /a/:id file6;\n");
reloaded('the file is mended');
is(at('/a/1'), '200 file6 1', 'the file is mended');

# without routes, and back again

reloaded('no routes', http => '', server => <<'_EOC_');
        location / {
            add_header X-Told "- -" always;
            empty_gif;
        }
_EOC_
is(at('/none'), '200 - -', 'no routes: nothing is checked');

reloaded('routes again', http => routes('GET /a/:id again;'),
         server => $server);
is(at('/a/1'), '200 again 1', 'routes again');
is(at('/none'), '404', 'routes again: they are checked');

# under load no request is lost, and each is of one configuration

{
    my @pids;

    reloaded('under load, 1', http => routes('GET /a/:id v1;'));

    for my $n (1 .. 3) {
        my $pid = fork // die "fork: $!\n";

        if ($pid == 0) {
            my ($lost, $wrong, $count) = (0, 0, 0);
            my $end = time() + 20;

            until (-e $nginx->path('stop') || time() > $end) {
                my $answer = $nginx->get("/a/$n$count");
                my $told = $answer ? $answer->{headers}{'x-told'} // '' : '';

                $answer ? $told =~ /^v\d+ $n$count$/ || $wrong++ : $lost++;
                $count++;
            }

            $nginx->write_file("told.$n", "$lost $wrong " . ($count > 20));
            POSIX::_exit(0);
        }

        push @pids, $pid;
    }

    for my $time (2 .. 5) {
        sleep 0.1;
        reloaded("under load, $time", http => routes("GET /a/:id v$time;"));
    }

    sleep 0.1;

    $nginx->write_file('stop', '');
    waitpid $_, 0 for @pids;

    is($nginx->read_file("told.$_"), '0 0 1',
       "under load, client $_: none lost, none wrong") for 1 .. 3;
}

unlike($nginx->error_log(), qr/\[(?:alert|crit)\]/,
       'nothing wrong in the log');

done_testing();
