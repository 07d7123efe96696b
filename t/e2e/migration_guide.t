#!/usr/bin/perl

# docs/guide-migration.md from its first command to its last: each block that
# is fenced as "console" is entered, and answers as it says there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use E2EExample;
use E2EGuide;
use Test::More;

my $guide = E2E::slurp("$E2E::ROOT/docs/guide-migration.md");

# As one who has made the copy and started it; ten seconds for a service to come
# back are long.

my $g = E2EExample->start('migration', edit => sub {
    s/fail_timeout=10s/fail_timeout=30s/g;
});

symlink 'conf.example', "$g->{dir}/my-gateway" or die "symlink: $!\n";

my %ports = map { $_ => $g->port($_) } 8140, 8141, 8145 .. 8147;

$ports{8159} = E2E::free_port();

my @blocks = $guide =~ /^```console\n(.*?)^```$/msg;

cmp_ok(scalar @blocks, '>', 10, 'there are commands');

my $before = "cd '$g->{dir}'; sleep() { :; };\n" . E2EGuide::quiet($g->{dir});

for my $block (@blocks) {
    my @commands = $block =~ /^\$ (.*\n(?:(?!\$ ).*\n)*)/mg;

    for (@commands) {
        my ($command, $want) = /^([^\n]*)\n(.*)\z/s;

        # words that later commands use

        if ($command =~ /^\w+(?:=|\(\) \{)/) {
            $before .= ported($command) . "\n";
            next;
        }

        my $got = entered($command);

        # the order of "sort" may be that of the ports

        if ($command =~ /\| sort \| uniq -c$/) {
            $_ = join '', sort split /^/ for $got, $want;
        }

        is($got, normal($want), $command);
    }
}

# What was tried in Step 8 is what is there now.

is(E2E::slurp("$g->{dir}/conf.example/migration.conf")
       =~ /gateway_routes \$service \{(.*?)\}/s ? $1 =~ s/\s+/ /gr : '',
   ' * /catalog/** catalog; * /orders/** orders; ',
   'all is on services');

refused();
back();

$g->stop;
$g->clean_log('the log has nothing that does not belong there');

another();
installed();

done_testing();


# What the command has printed.  Where it reloads, it is waited for.

sub entered {
    my ($command) = @_;

    my $reload = $command =~ /\b(?:share|reload)\b/;
    my %old = map { $_ => 1 } $g->workers;

    my $output = E2E::output('bash', '-c', "$before\nquiet\n"
                                           . ported($command));

    $output .= "exit status " . ($? >> 8) . "\n" if $? != 0;

    if ($reload && !E2E::wait_for(20, sub {
            my @workers = $g->workers;

            return @workers && !grep { $old{$_} } @workers;
        }))
    {
        $output .= "no reload\n";
    }

    for my $port (keys %ports) {
        $output =~ s/\b127\.0\.0\.1:$ports{$port}\b/127.0.0.1:$port/g;
    }

    return normal($output);
}


sub ported {
    my ($text) = @_;

    return $text =~ s/\b127\.0\.0\.1:(\d+)/127.0.0.1:$ports{$1}/gr;
}


# Without what is different each time.

sub normal {
    my ($text) = @_;

    $text =~ s/\r//g;
    $text =~ s/\b[0-9a-f]{32}\b/ID/g;
    $text =~ s/^Date: .*$/Date: DATE/mg;
    $text =~ s{^Server: nginx/[\d.]+$}{Server: nginx}mg;
    $text =~ s/\b\d\.\d{3} s\b/T s/g;

    return $text;
}


# What is no share changes nothing.

sub refused {
    my $file = "$g->{dir}/conf.example/migration/percent";
    my $before_it = E2E::slurp($file);

    for my $wrong ('catlog 10', 'catalog', 'catalog 101', 'catalog 10%',
                   'catalog -5', 'catalog 1.5', 'catalog abc', 'catalog 05')
    {
        is(E2E::output('bash', '-c', "${before}share $wrong"),
           "not a share: $wrong\n", "share $wrong");
    }

    is(E2E::slurp($file), $before_it, 'the shares are what they were');

    return;
}


# The way back, with the commands that the steps name: for each of them who
# answers reads, writes, and what is about everything else.

sub back {
    my @back = reverse $guide =~ /^\*\*Back:\*\* `([^`]+)`/mg;
    my @want = ('catalog catalog monolith', 'catalog catalog monolith',
                'catalog monolith monolith', 'monolith monolith monolith',
                'monolith monolith monolith');

    is(scalar @back, scalar @want, 'there is a way back from each step');

    for my $command (@back) {
        is(entered($command), '', $command);

        my $from = entered('for what in catalog/7 "catalog/7 -d x" about; do'
                           . ' curl -s $url/$what; done');

        is(join(' ', $from =~ /"from":"(\w+)"/g), shift @want,
           "$command: who answers");
    }

    # the last has left nothing to be mirrored

    my $shadow = "$g->{prefix}/migration_shadow.log";
    entered('quiet');

    my $size = -s $shadow;

    entered('curl -s $url/catalog/7; quiet');
    is(-s $shadow, $size, 'nothing is mirrored any more');

    entered('share catalog-shadow 100');
    entered('curl -s $url/catalog/7; quiet');
    cmp_ok(-s $shadow, '>', $size, 'as it would be');

    return;
}


# A service that is not in the file: as many lines as Step 8 says, each that of
# the orders once more.

sub another {
    my ($list) = $guide =~ /^- in migration\.conf, .*?: (.*?)\n\n/ms;
    my %numbers = (one => 1, two => 2, three => 3, four => 4);
    my $lines = 0;

    $lines += $numbers{$_} // 0 for $list =~ /\w+/g;

    my $seen = 0;
    my $more = sub {
        my ($text) = @_;

        $seen++;
        return $text . $text =~ s/orders/users/gr =~ s/:8147/:8148/gr;
    };

    my $u = E2EExample->start('migration', edit => sub {
        my ($file) = @_;

        if ($file eq 'migration/percent') {
            $_ .= join '', map { s/orders/users/r } /^orders.*\n/mg;

        } elsif ($file eq 'migration.conf') {
            s/^(\ +upstream\ orders\w*\ \{\n.*?^\ +\}\n
              |\ +map\ \S*orders\S*\ [^\n]*\}\n
              |[^\n\#;{}]*orders[^;{}]*;\n)/$more->($1)/gmsex;

        } elsif ($file eq 'services/migration.conf') {
            s/(server \{\n *listen +127\.0\.0\.1:8147;.*?^\}\n)/$more->($1)/mse;
        }
    });

    is($seen - 1, $lines, 'lines for another service');

    for my $percent (0, 100) {
        $u->edit('migration/percent', sub { s/^users\s.*/users $percent;/m });
        ok($u->reload, "users $percent");

        like($u->ask(8140, 'GET', '/users/7')->{body},
             $percent ? qr/"from":"users"/ : qr/"from":"monolith"/,
             "users $percent: who answers");
    }

    $u->stop;
    $u->clean_log('another service: the log is clean');

    return;
}


# What is put into /etc/nginx is a configuration.

sub installed {
    my ($script) = $guide =~ /^```sh\n(sudo make install\n.*?)^```$/ms;

    ok($script, 'there is a script that installs') or return;

    my $etc = "$g->{dir}/etc";

    mkdir $etc or die "mkdir: $!\n";
    E2E::spew("$etc/nginx.conf", "before\n");

    $script =~ s/^sudo make install\n//;
    $script =~ s/\bsudo //g;
    $script =~ s{/etc/nginx/}{$etc/}g;

    my $output = E2E::output('bash', '-e', '-c',
                             "cd '$E2E::ROOT'; $script");

    is($output, '', 'it has nothing to say');
    is(E2E::slurp("$etc/nginx.conf.before"), "before\n",
       'what was there is kept');

    my $conf = E2E::slurp("$etc/nginx.conf");

    unlike($conf, qr/^\s*include\s.*(?:build|services)|_temp_path/m,
           'nothing is left of the tree');
    is(join(' ', sort $conf =~ /^load_module modules\/ngx_http_gateway_(\w+)_/mg),
       'aggregate jwt limit route websocket', 'the modules are loaded');
    is(join(' ', $conf =~ m{\s(/\S+\.(?:log|pid))\b}g),
       '/run/nginx.pid /var/log/nginx/migration_error.log'
       . ' /var/log/nginx/migration_access.log'
       . ' /var/log/nginx/migration_shadow_error.log'
       . ' /var/log/nginx/migration_shadow.log', 'files are where they belong');

    # the same where anybody may write

    my $temp = join '', map { "${_}_temp_path $etc/temp_$_;\n" }
                        qw( client_body proxy fastcgi uwsgi scgi );

    $conf =~ s/^load_module .*\n//mg;
    $conf =~ s/^user .*\n//m;
    $conf =~ s{/run/|/var/log/nginx/}{$etc/}g;
    $conf =~ s/^http \{\n/$&$temp/m;

    E2E::spew("$etc/nginx.conf", E2E::modules() . $conf);

    $output = E2E::output(E2E::binary(), '-t', '-q', '-p', "$etc/",
                          '-e', "$etc/error.log", '-c', "$etc/nginx.conf");

    is($output, '', 'nginx -t takes it');

    return;
}
