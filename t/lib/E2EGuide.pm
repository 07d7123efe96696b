package E2EGuide;

# Does what a guide in docs/ says, command by command, and compares the answers
# with those that it shows.  Knows nothing of what the commands are for.
#
#     my $guide = E2EGuide->new('docs/guide-public-api.md');
#     $guide->follow($example);
#
# Commands are in blocks fenced as "console", on lines that begin with "$ ".
# A line that ends with "\" goes on in the next, one that ends with "{" until
# a line that is "  }"; what follows is the answer.  They are run one after the
# other by one bash, in the folder of an E2EExample that was prepared, where
# auto/ is the source tree's.
#
# What differs from run to run is taken for equal: see normal().
#
#     quiet(DIR)       bash's text of a function "quiet", which waits until all
#                      nginx with a pid file below DIR/build have nothing to do:
#                      a log is written after the answer, and a shadow's answer
#                      comes later still

use strict;
use warnings;

use E2E ();
use POSIX ();
use Test::More ();

my @daemons;
my $test = $$;

END {
    my $status = $?;

    if ($$ == $test) {
        kill 'TERM', grep { $_ } map { _pid($_) } @daemons;
    }

    $? = $status;
}


sub new {
    my ($class, $page) = @_;

    my $text = E2E::slurp("$E2E::ROOT/$page");
    my @steps;

    while ($text =~ /^```console\n(.*?)^```$/msg) {
        my $block = $1;
        my $line = 1 + (substr($text, 0, $-[1]) =~ tr/\n//);

        while ($block =~ /\G\$\ ((?:[^\n]*\\\n)*
                                 (?:[^\n]*\{\n(?:.*?)^\ \ \}\n|[^\n]*\n))
                          ((?:(?!\$\ )[^\n]*\n)*)/xmsgc)
        {
            push @steps, { command => $1, expected => $2, line => $line };
            $line += "$1$2" =~ tr/\n//;
        }
    }

    return bless { page => $page, steps => \@steps }, $class;
}


# A test for each command.

sub follow {
    my ($self, $example) = @_;

    my @got = $self->answers($example);
    my (%seen, %shown);

    for my $step (@{ $self->{steps} }) {
        my ($name) = split /\n/, $step->{command};

        Test::More::is(normal(shift @got // 'not run', \%seen),
                       normal($step->{expected}, \%shown),
                       "$self->{page}:$step->{line}: $name");
    }
}


# What each command prints, with the ports that the guide has.

sub answers {
    my ($self, $example) = @_;

    my $dir = $example->dir;
    my %ports = $example->ports;
    my %back = reverse %ports;

    symlink "$E2E::ROOT/auto", "$dir/auto" or die "symlink: $!\n";

    # Workers of a master that is root are another user's, who may not be able
    # to enter the folder.

    my $user = $> == 0 ? "-g 'user root;'" : '';
    my $script = 'nginx() { ' . E2E::binary() . " $user \"\$@\"; }\n"
                 . quiet($dir);

    for my $step (@{ $self->{steps} }) {
        my $wait = $step->{command} =~ /\blogs?\b|_log/ ? "quiet\n" : '';

        $script .= "${wait}echo '\@\@next'\n$step->{command}";
    }

    $script =~ s/127\.0\.0\.1:\K(\d+)/$ports{$1} \/\/ $1/ge;

    E2E::spew("$dir/guide.sh", $script);
    push @daemons, "$dir/build/$example->{name}.pid";

    my $pid = fork // die "fork: $!\n";

    if (!$pid) {
        chdir $dir or POSIX::_exit(126);
        open STDIN, '<', '/dev/null' or POSIX::_exit(126);
        open STDOUT, '>', "$dir/guide.out" or POSIX::_exit(126);
        open STDERR, '>&', \*STDOUT or POSIX::_exit(126);
        exec 'bash', 'guide.sh' or POSIX::_exit(127);
    }

    waitpid $pid, 0;

    my $output = E2E::slurp("$dir/guide.out");

    $output =~ s/127\.0\.0\.1:\K(\d+)/$back{$1} \/\/ $1/ge;
    $output =~ s/\Q$dir\E/.../g;

    my (undef, @answers) = split /^\@\@next\n/m, $output;

    return @answers;
}


sub quiet {
    my ($dir) = @_;

    return <<"_EOC_";
quiet() {
    local asked=0 sleeping=0 pid stat

    while [ \$sleeping -lt 3 ] && [ \$asked -lt 500 ]; do
        asked=\$((asked + 1)) sleeping=\$((sleeping + 1))

        for pid in \$(cat '$dir'/build/*.pid '$dir'/build/*/*.pid 2>/dev/null)
        do
            for pid in \$({ cat /proc/\$pid/task/\$pid/children ||
                           pgrep -P \$pid; } 2>/dev/null)
            do
                { read -r stat < /proc/\$pid/stat; } 2>/dev/null || continue
                [[ \$stat == *") S "* ]] || sleeping=0
            done
        done

        command sleep 0.01
    done
}
_EOC_
}


# Times and ids by the order in which they are seen first, so that two that are
# the same have to be the same; numbers of tokens, dates, counts not at all, nor
# what a newer nginx calls deprecated.

sub normal {
    my ($text, $seen) = @_;

    my $number = sub {
        my ($what, $value) = @_;

        return "$what#" . ($seen->{"$what $value"} //= scalar keys %$seen);
    };

    $text =~ s/\b([0-9a-f]{32})\b/$number->('id', $1)/ge;
    $text =~ s/\b(\d{10}\.\d{3})\b/$number->('time', $1)/ge;
    $text =~ s/;r=\d+;t=\d+/;r=N;t=N/g;
    $text =~ s/^(Date|Retry-After|Content-Length): .*/$1: .../mgi;
    $text =~ s/^ +\d+ /N /mg;
    $text =~ s/^\d{4}\S+ [\d:]+ (\[\w+\]) \d+#\d+: /LOG $1 /mg;
    $text =~ s/\b\d+ certificates made/N certificates made/g;
    $text =~ s/^LOG \[warn\] the "listen \.\.\. http2" directive is .*\n//mg;
    $text =~ s/\r//g;
    $text =~ s/^\.\.\.\n//mg;

    return $text;
}


sub _pid {
    my ($file) = @_;

    return -e $file ? E2E::slurp($file) + 0 : 0;
}


1;
