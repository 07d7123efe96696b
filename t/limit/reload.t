
# What buckets live through: reloads, alone and under load, workers that are
# killed, and zones that are full.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayNginx;

use IO::Socket::INET ();
use POSIX ();
use Test::More;
use Time::HiRes qw( sleep time );

local $SIG{PIPE} = 'IGNORE';

my $server = <<'_EOC_';
        add_header X-Status $gateway_limit_status always;
        add_header X-Remaining $gateway_limit_remaining always;

        location /z {
            gateway_limit zone=z;
            empty_gif;
        }

        location /cost {
            gateway_limit zone=z cost=$arg_cost;
            empty_gif;
        }
_EOC_

my $Z = 'gateway_limit_zone $arg_key zone=z';

my $nginx = NgxGatewayNginx->new(http => "$Z:64k rate=1r/h burst=5;",
                                 server => $server, workers => 2);

$nginx->start();

# "200 4": the status and the tokens that are left

sub at {
    my ($uri) = @_;

    my $answer = $nginx->get($uri) // return 'no answer';

    return "$answer->{code} " . ($answer->{headers}{'x-remaining'} // '-');
}

sub reloaded {
    my ($name, %options) = @_;

    ok($nginx->reload(%options), $name) or diag($nginx->error_log());

    return;
}

# the same size

is(at('/cost?key=a&cost=3'), '200 2', 'three of five');

reloaded('the same again');
is(at('/z?key=a'), '200 1', 'the same again: the bucket is as it was');

reloaded('a larger burst', http => "$Z:64k rate=1r/h burst=7;");
is(at('/z?key=a'), '200 2', 'a larger burst: it holds more');

reloaded('a smaller burst', http => "$Z:64k rate=1r/h burst=3;");
is(at('/z?key=a'), '429 0', 'a smaller burst: it owes more than it holds');

# five hours of debt are ten tokens of half an hour

reloaded('a higher rate', http => "$Z:64k rate=2r/h burst=13;");
is(at('/z?key=a'), '200 2', 'a higher rate: it fills faster');

reloaded('a rate of a variable', http => "$Z:64k rate=\$arg_rate burst=9;");
is(at('/z?key=a&rate=1r/h'), '200 2', 'a rate of a variable');

reloaded('the rate as at first', http => "$Z:64k rate=1r/h burst=8;");
is(at('/z?key=a'), '200 0', 'the rate as at first');
is(at('/z?key=a'), '429 0', 'the rate as at first: empty');

# another key

my $log = $nginx->reload_fails(
    http => 'gateway_limit_zone $arg_other zone=z:64k rate=1r/h burst=9;');

like($log // '',
     qr/\[emerg\].*gateway_limit_zone "z" uses the "\$arg_other" key while /,
     'another key: refused');
like($log // '', qr/while previously it used the "\$arg_key" key/,
     'another key: and the one it had');
is(at('/z?key=a'), '429 0', 'another key: the old configuration goes on');
is(at('/z?key=b'), '200 7', 'another key: it goes on limiting');

# another size

my $before = length $nginx->error_log();

reloaded('another size', http => "$Z:128k rate=1r/h burst=7;");
like(substr($nginx->error_log(), $before),
     qr/\[notice\].*gateway_limit_zone "z": the size has changed from 65536 to/,
     'another size: a notice');
like(substr($nginx->error_log(), $before),
     qr/to 131072, its buckets start anew/, 'another size: what that means');
is(at('/z?key=a'), '200 6', 'another size: buckets are full');

$before = length $nginx->error_log();

reloaded('the other size again');
unlike(substr($nginx->error_log(), $before), qr/size has changed/,
       'the other size again: no notice');
is(at('/z?key=a'), '200 5', 'the other size again: buckets are kept');

# a zone goes, and comes back

reloaded('no zone', http => '',
         server => 'location / { empty_gif; }');
is(at('/z?key=a'), '200 -', 'no zone: no limit');
reloaded('the zone is back', http => "$Z:128k rate=1r/h burst=7;",
         server => $server);
is(at('/z?key=a'), '200 6', 'the zone is back: its buckets are full');

# Load: clients that go on until a file appears; each tells how many of its
# requests were admitted, refused and lost.

sub load {
    my ($clients, $uri) = @_;

    my (@pipes, @pids);
    my $stop = $nginx->path('stop');

    unlink $stop;

    for my $n (1 .. $clients) {
        pipe my $in, my $out or die "pipe: $!\n";

        my $pid = fork // die "fork: $!\n";

        if ($pid == 0) {
            my %count = (200 => 0, 429 => 0, lost => 0);
            my $end = time() + 60;

            until (-e $stop || time() > $end) {
                my $answer = $nginx->get($uri);
                $count{ $answer ? $answer->{code} : 'lost' }++;
            }

            syswrite $out, "$count{200} $count{429} $count{lost}\n";
            POSIX::_exit(0);
        }

        close $out;
        push @pipes, $in;
        push @pids, $pid;
    }

    return sub {
        $nginx->write_file('stop', '');

        my @sum = (0, 0, 0);

        for my $in (@pipes) {
            my @count = split ' ', <$in> // '0 0 1';
            $sum[$_] += $count[$_] for 0 .. 2;
        }

        waitpid $_, 0 for @pids;

        return @sum;
    };
}

sub workers {
    my ($master) = @_;

    return grep { length } split ' ',
           do { open my $in, '<', "/proc/$master/task/$master/children"
                    or return;
                <$in> // '' };
}

# reloads under load: none is lost, none is admitted twice

reloaded('a large bucket', http => "$Z:64k rate=1r/h burst=300;");
is(at('/z?key=load'), '200 299', 'a large bucket: the first');

my $end_load = load(4, '/z?key=load');

for my $time (1 .. 3) {
    sleep 0.1;
    reloaded("under load, $time");
}

sleep 0.1 while at('/z?key=load') !~ /^429/;

my ($admitted, $refused, $lost) = $end_load->();

# this client's own requests may have been among those admitted

cmp_ok($admitted, '<=', 299, 'under load: not more than there were');
cmp_ok($admitted, '>', 150, 'under load: about as many as there were');
is($lost, 0, 'under load: none is lost');
is(at('/z?key=load'), '429 0', 'under load: the bucket is empty');

# rate and burst change under load: what is taken is remembered

$end_load = load(4, '/z?key=change');
reloaded('a larger burst under load', http => "$Z:64k rate=1r/h burst=400;");
reloaded('a smaller one under load', http => "$Z:64k rate=1r/h burst=350;");
sleep 0.1 while at('/z?key=change') !~ /^429/;
($admitted, $refused, $lost) = $end_load->();

# when both workers meet a new key at once, it has two buckets for a while

cmp_ok($admitted, '<=', 800, 'another burst under load: not more than twice');
is($lost, 0, 'another burst under load: none is lost');

# another size under load

$end_load = load(4, '/z?key=load');
reloaded('another size under load', http => "$Z:256k rate=1r/h burst=100;");
sleep 0.1 while at('/z?key=load') !~ /^429/;
($admitted, $refused, $lost) = $end_load->();
is($lost, 0, 'another size under load: none is lost');
cmp_ok($admitted, '>', 0, 'another size under load: the bucket was full');

# a worker is killed under load

reloaded('a bucket for it', http => "$Z:64k rate=1r/h burst=1000;");
is(at('/z?key=kill'), '200 999', 'a bucket for it: the first');

$end_load = load(4, '/z?key=kill');

for my $time (1 .. 3) {
    my $killed;

    # those that an earlier reload has left may just be about to exit

    for (1 .. 200) {
        my @workers = workers($nginx->{pid});

        last if @workers == 2 && ($killed = kill 'KILL', $workers[0]);
        sleep 0.05;
    }

    sleep 0.05;
    ok($killed, "kill a worker, time $time");
}

sleep 0.1 while at('/z?key=kill') !~ /^429/;
($admitted, $refused, $lost) = $end_load->();

cmp_ok($admitted, '<=', 999, 'killed: not more than there were');
cmp_ok($admitted, '>', 500, 'killed: about as many as there were');
is(at('/z?key=kill'), '429 0', 'killed: the bucket is empty');
is(at('/z?key=other'), '200 999', 'killed: others are served');
reloaded('killed: it can be reloaded');
is(at('/z?key=kill'), '429 0', 'killed: the bucket is empty after a reload');
is(at('/z?key=other'), '200 998', 'killed: as is another one');

# two zones under load: what refusals give back is all that they took

reloaded('two zones', http => <<'_EOC_', server => <<'_EOS_');
    gateway_limit_zone $arg_key zone=wide:64k rate=1r/h burst=1000;
    gateway_limit_zone $arg_key zone=narrow:64k rate=1r/h burst=50;
_EOC_
        location /wide {
            gateway_limit zone=wide;
            add_header X-Remaining $gateway_limit_remaining always;
            empty_gif;
        }

        location /both {
            gateway_limit zone=wide cost=3;
            gateway_limit zone=narrow;
            add_header X-Remaining $gateway_limit_remaining always;
            empty_gif;
        }
_EOS_

is(at('/both?key=a'), '200 49', 'two zones: the first');

$end_load = load(4, '/both?key=a');
$nginx->wait(sub {
    (() = $nginx->read_file('logs/access.log')
          =~ m{"GET /both\S* HTTP/1\.1" 429 }g) > 150;
});
($admitted, $refused, $lost) = $end_load->();

is($admitted, 49, 'two zones: as many as the narrow one has');
cmp_ok($refused, '>', 100, 'two zones: many are refused');
is(at('/wide?key=a'), '200 849', 'two zones: the wide one has the others');

# full zones

sub full {
    my ($on_full) = @_;

    return <<"_EOC_";
    gateway_limit_zone \$arg_key zone=$on_full:32k rate=1r/h burst=10
                       on_full=$on_full;
_EOC_
}

my $small = NgxGatewayNginx->new(
    http => join('', map { full($_) } qw( evict reject pass )),
    server => join('', map { <<"_EOC_" } qw( evict reject pass )));
        location /$_ {
            gateway_limit zone=$_ cost=\$arg_cost;
            add_header X-Remaining \$gateway_limit_remaining always;
            empty_gif;
            keepalive_requests 100000;
        }
_EOC_

$small->start();
$nginx->stop();
($nginx, my $large) = ($small, $nginx);

# the answers to these, on one connection

sub pipelined {
    my (@uris) = @_;

    my @codes;

    while (my @some = splice @uris, 0, 100) {
        my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                           PeerPort => $small->port())
                     or die "connect: $!\n";
        my $last = pop @some;

        print $socket map({ "GET $_ HTTP/1.1\r\nHost: localhost\r\n\r\n" }
                          @some),
                      "GET $last HTTP/1.1\r\nHost: localhost\r\n"
                      . "Connection: close\r\n\r\n";
        $socket->flush();

        my $text = do { local $/ = undef; <$socket> };
        push @codes, $text =~ m{HTTP/1\.1 (\d+)}g;
    }

    return @codes;
}

sub count {
    my ($code, @codes) = @_;

    return scalar grep { $_ eq $code } @codes;
}

sub warnings {
    my ($zone) = @_;

    return scalar(() = $small->error_log()
                       =~ /\[warn\].*gateway_limit_zone "$zone" is full/g);
}

sub scan {
    my ($zone, $count) = @_;

    return pipelined(map { "/$zone?cost=2&key=scan" . int rand 1e12 }
                         1 .. $count);
}

# Three keys before the scan: one that is empty, one that has a token left and
# one that is nearly full.

for my $zone (qw( evict reject pass )) {
    is(at("/$zone?key=empty&cost=10"), '200 0', "$zone: a busy key");
    is(at("/$zone?key=one&cost=9"), '200 1', "$zone: a less busy key");

    my @codes = scan($zone, 6000);

    is(count(200, @codes) + count(429, @codes), 6000,
       "$zone: all of the scan are answered");
    is(at("/$zone?key=empty&cost=1"), '429 0',
       "$zone: the busy key gets no fresh bucket");

    # a new key begins with the least debt there is, and has tokens left

    if ($zone eq 'evict') {
        cmp_ok(count(200, @codes), '>', 5000, "$zone: new keys are admitted");
    }

    # more of the same

    scan($zone, 6000);
    is(count(200, pipelined(("/$zone?key=empty&cost=1") x 20)), 0,
       "$zone: it still gets none");
    is(warnings($zone), 1, "$zone: one warning");
}

# evict: nobody wins a full bucket by a new key, in the end not even a token

cmp_ok(count(200, scan('evict', 1000)), '<', 500,
       'evict: new keys begin with the debt of others');
like($small->error_log(),
     qr/"evict" is full, buckets are evicted \(\d+ evictions so far\)/,
     'evict: the warning');

# reject: those that were there before go on, new ones are refused

cmp_ok(count(429, scan('reject', 100)), '>', 90, 'reject: new keys');
like(at('/reject?key=one&cost=1'), qr/^200 0/, 'reject: one that was there');
is(at('/reject?key=one&cost=1'), '429 0', 'reject: which is empty then');
like($small->error_log(), qr/"reject" is full, new keys are refused/,
     'reject: the warning');

my ($waits) = grep { $_->{code} == 429 }
              map { $small->get("/reject?cost=1&key=new$_") } 1 .. 20;

like($waits->{headers}{'retry-after'} // '', qr/^7[12]\d\d$/,
     'reject: Retry-After is when a place is free');

# pass: those that were there before are limited, new ones are not

my @new = map { "/pass?cost=10&key=new$_" } 1 .. 50;

pipelined(@new);
cmp_ok(count(200, pipelined(@new)), '>', 45, 'pass: new keys are not limited');
like(at('/pass?key=one&cost=1'), qr/^200 0/, 'pass: one that was there');
is(at('/pass?key=one&cost=1'), '429 0', 'pass: which is empty then');
like($small->error_log(), qr/"pass" is full, new keys pass/,
     'pass: the warning');

# the log

unlike($small->error_log(), qr/\[(?:alert|crit|emerg|error)\]/,
       'full zones: nothing wrong in the log');

my @bad = grep { /\[(?:alert|crit|error)\]/ && !/exited on signal 9/ }
          split /\n/, $large->error_log();

is(join("\n", @bad), '', 'reloads: nothing wrong in the log');

$small->stop();
ok(!$small->alive() && !$large->alive(), 'stopped');

done_testing();
