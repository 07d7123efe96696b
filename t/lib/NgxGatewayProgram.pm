package NgxGatewayProgram;

# C programs that drive a module's files without nginx, with sanitizers where
# the compiler has them.  $here is the folder of the test that uses this, $work
# one for what it makes, $modules that of the modules' sources.

use strict;
use warnings;

use Cwd qw( realpath );
use Exporter qw( import );
use File::Basename qw( dirname );
use File::Temp qw( tempdir );
use FindBin;
use Test::More ();

use NgxGatewaySystem qw( output slurp spew );

our @EXPORT = (
    qw( nginx compiled sanitized mutated run slurp spew ), '$modules',
    '$here', '$work',
);

our $here = realpath($FindBin::Bin);
our $work = tempdir(CLEANUP => 1);

my $root = realpath(dirname(__FILE__) . '/../..');

our $modules = "$root/modules";

my $cc = $ENV{CC} || 'gcc';
my @sanitize = ('-g', '-fsanitize=address,undefined',
                '-fno-sanitize-recover=undefined');

my $nginx = (grep { -e "$_/objs/ngx_auto_config.h" }
    "$root/build/nginx", glob "$root/build/{asan,valgrind,tree/*}/src")[0];

# Reports of these are a failure here, and are not for anybody else's log

delete $ENV{LSAN_OPTIONS};
$ENV{ASAN_OPTIONS} = 'quarantine_size_mb=4';
$ENV{UBSAN_OPTIONS} = 'print_stacktrace=1';


# Where nginx's headers are, or nothing

sub nginx {
    return $nginx;
}


# compiled(NAME, ARGUMENTS) is the program or object made of them.

sub compiled {
    my ($name, @arguments) = @_;
    my ($status, $output) = run(command($name, @arguments));

    die "$name is not compiled:\n$output" if $status != 0;

    return "$work/$name";
}


# Likewise, with sanitizers or, without them, nothing

sub sanitized {
    my ($name, @arguments) = @_;
    my ($status) = run(command($name, @sanitize, @arguments));

    return $status == 0 ? "$work/$name" : undef;
}


# Controls: each of these changes of a C file, [WHAT, PATTERN, REPLACEMENT,
# ...], is to be found wrong by the sub, which is given a file that has it.  A
# replacement may be a sub.

sub mutated {
    my ($text, $found, @mutations) = @_;

    for my $mutation (@mutations) {
        my ($what, @changes) = @$mutation;
        my $mutant = $text;
        my $changed = 1;

        while (my ($pattern, $replacement) = splice @changes, 0, 2) {
            $changed &&= ref $replacement
                         ? $mutant =~ s/$pattern/$replacement->()/e
                         : $mutant =~ s/$pattern/$replacement/;
        }

        SKIP: {
            Test::More::ok($changed, "control: $what")
                or Test::More::skip('nothing to change', 1);

            spew("$work/mutant.c", $mutant);

            Test::More::ok($found->("$work/mutant.c"), "... is found: $what");
        }
    }

    return;
}


sub command {
    my ($name, @arguments) = @_;

    return ($cc, qw( -W -Wall -Werror -Wno-unused-parameter -D_GNU_SOURCE ),
        (map { "-I$_" } $here, glob("$modules/*"), "$nginx/objs",
         map { "$nginx/src/$_" } qw( core event event/modules os/unix )),
        '-o', "$work/$name", @arguments);
}


# The exit status, 128 + the signal's number where there was one, and what was
# printed.

sub run {
    my (@command) = @_;

    my $output = output(@command);

    return ($? & 127 ? 128 + ($? & 127) : $? >> 8, $output);
}


1;
