#!/usr/bin/perl

# docs/guide-cross-cloud.md from its first command to its last: all that is
# fenced as "console" is entered into one shell, and answers as it says there;
# what is to be put into /etc/nginx is a configuration.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use E2E;
use E2EExample;
use E2EGuide;
use Test::More;

E2E::need($_, $_) for 'curl', 'jq';

my $guide = E2E::slurp("$E2E::ROOT/docs/guide-cross-cloud.md");
my $dir = E2E::dir() . '/clone';

my %ports = map { $_ => E2E::free_port() } 8120 .. 8139;

END {
    my $status = $?;

    for my $file (glob "$dir/build/*.pid $dir/build/*/*.pid") {
        my ($pid) = E2E::slurp($file) =~ /^(\d+)$/ or next;

        kill 'TERM', $pid;
        E2E::wait_for(5, sub { !kill 0, $pid });
    }

    $? = $status;
}

clone();
commands();

for my $log (glob "$dir/build/*_error.log $dir/build/*/*_error.log") {
    unlike(E2E::slurp($log), qr/\[(?:alert|emerg|crit)\]/,
           "nothing in $log that does not belong there");
}

installed($_, $_ eq 'east' ? 'WEST' : 'EAST') for 'east', 'west';

done_testing();


# A clone in which `make` was done, on ports that are free

sub clone {
    my $log = E2E::output('sh', '-ec', <<"_EOC_");
mkdir -p $dir/build
cp -r '$E2E::ROOT/conf.example' '$E2E::ROOT/auto' $dir/
_EOC_

    is($log, '', 'a clone');

    E2E::spew("$dir/build/modules.conf", E2E::modules());

    for my $file (glob "$dir/conf.example/cross-cloud.conf"
                       . " $dir/conf.example/services/cross-cloud.conf") {
        E2E::spew($file, ported(E2E::slurp($file)));
    }
}


sub commands {
    my @commands = map { /^\$ (.*\n(?:(?!\$ ).*\n)*)/mg }
                   $guide =~ /^```console\n(.*?)^```$/msg;

    cmp_ok(scalar @commands, '>', 50, 'there are commands');

    my $script = "exec 2>&1 < /dev/null; cd '$dir';"
                 . " PATH='" . File::Basename::dirname(E2E::binary())
                 . "':\$PATH\n" . E2EGuide::quiet($dir);
    my @wanted;

    for (@commands) {
        my ($command, $want) = /^([^\n]*)\n(.*)\z/s;

        $script .= 'quiet; ' if $command =~ /_log\b|\.log\b/;
        $script .= ported($command) . "; printf '<%s>\\n' \$?\n";

        push @wanted, [ $command, $want ];
    }

    E2E::spew("$dir/commands", $script);

    my $output = E2E::output('bash', "$dir/commands");

    for my $port (keys %ports) {
        $output =~ s/\b127\.0\.0\.1:$ports{$port}\b/127.0.0.1:$port/g;
    }

    for (@wanted) {
        my ($command, $want) = @$_;

        $output =~ s/\A(.*?)<(\d+)>\n//s or last;
        is(normal($1) . ($2 ? "exit status $2\n" : ''), normal($want),
           substr $command, 0, 70);
    }

    is($output, '', 'and nothing else');
}


sub ported {
    my ($text) = @_;

    return $text =~ s/\b(81[23]\d)\b/$ports{$1}/gr;
}


# Without what is different each time

sub normal {
    my ($text) = @_;

    $text =~ s/\r//g;
    $text =~ s/ +$//mg;
    $text =~ s/"instance":"[0-9a-f]{32}"/"instance":"ID"/g;
    $text =~ s/00-(?!0af7651916cd43dd)([0-9a-f]{16})[0-9a-f]{16}-\1-01/TRACE/g;

    return $text;
}


sub installed {
    my ($cloud, $other) = @_;

    my ($script) = $guide =~ /^```sh\n(cloud=east.*?)^```$/ms;

    ok($script, 'there is a script that installs') or return;

    my $etc = "$dir/etc-$cloud";

    mkdir $etc or die "mkdir: $!\n";
    E2E::spew("$etc/nginx.conf", "before\n");

    $script =~ s/^cloud=.*\n/cloud=$cloud other=$other\n/;
    $script =~ s/^sudo make install\n//m;
    $script =~ s/\bsudo //g;
    $script =~ s{/etc/nginx/}{$etc/}g;

    is(E2E::output('bash', '-e', '-c', "cd '$dir'; $script"), '',
       "$cloud: it has nothing to say");
    is(E2E::slurp("$etc/nginx.conf.before"), "before\n",
       'what was there is kept');

    my $conf = E2E::slurp("$etc/nginx.conf");

    unlike($conf =~ s{\Q$etc\E}{/etc/nginx}gr,
           qr/^[^#\n]*(?:build|services|_temp_path)/m,
           'nothing is left of the tree');
    unlike($conf, qr/^ +server_name +\S+\.\L$other\E\./m,
           'nor of the other cloud');
    is(join(' ', sort $conf
                 =~ /^load_module modules\/ngx_http_gateway_(\w+)_/mg),
       'aggregate jwt limit route websocket', 'the modules are loaded');
    is(join(' ', $conf =~ m{\s(/\S+\.(?:log|pid))\b}g),
       '/run/nginx.pid /var/log/nginx/cross-cloud_error.log'
       . " /var/log/nginx/cross-cloud_${cloud}_access.log" x 2,
       'files are where they belong');

    # names of one's own

    my ($names) = $guide =~ /^sudo (sed -i \S+ \S+)$/m;

    $names =~ s{/etc/nginx/}{$etc/};
    is(E2E::output('sh', '-c', $names), '', 'other names');
    $conf = E2E::slurp("$etc/nginx.conf");
    unlike($conf, qr/example\\?\.com/, 'are everywhere');
    like($conf, qr/ api\.$cloud\.cloud\.example\.org;/, 'as given');

    # the same where anybody may write

    my $temp = join '', map { "${_}_temp_path $etc/temp_$_;\n" }
                        qw( client_body proxy fastcgi uwsgi scgi );

    $conf =~ s/^load_module .*\n//mg;
    $conf =~ s/^user .*\n//m;
    $conf =~ s{/run/|/var/log/nginx/}{$etc/}g;
    $conf =~ s/^http \{\n/$&$temp/m;

    E2E::spew("$etc/nginx.conf", E2E::modules() . $conf);

    for my $file (map { glob "$dir/build/tls/*.$_" } 'crt', 'key') {
        my $name = $file =~ s{.*/}{}r =~ s/example\.com/cloud.example.org/r;

        E2E::spew("$etc/tls/$name", E2E::slurp($file));
    }

    is(E2E::output(E2E::binary(), '-t', '-q', '-p', "$etc/",
                   '-e', "$etc/error.log", '-c', "$etc/nginx.conf"), '',
       'nginx -t takes it');
}
