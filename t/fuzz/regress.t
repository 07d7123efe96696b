# The fuzz targets over their seeds, compiled with sanitizers and without
# libFuzzer: t/fuzz/run needs clang, this does not.
#
# A seed's name begins with what has to become of it, in a word: the file
# "expired.leeway" must give "expired".

use strict;
use warnings;

use Cwd qw( realpath );
use Fcntl qw( :flock );
use File::Basename qw( basename dirname );
use File::Path qw( make_path );

use Test::More;

my $here = realpath(dirname(__FILE__));
my $root = realpath("$here/../..");
my $out = "$root/build/fuzz/regress";

my ($nginx) = grep { -e "$_/configure" } glob "$root/build/src/nginx-*";

if (!$nginx) {
    plan skip_all => 'no source of nginx in build/src ("auto/deps asan")';
}

my @targets = map { basename($_) } sort glob "$here/corpus/*";

plan tests => 1 + 2 * @targets;

# Reports of these are a failure here, and are not for anybody else's log

delete @ENV{qw( MAKEFLAGS MFLAGS MAKELEVEL ASAN_OPTIONS LSAN_OPTIONS )};
$ENV{UBSAN_OPTIONS} = 'print_stacktrace=1';

my $built = build();

ok $built, 'the targets compile';

SKIP: {
    skip 'nothing to run', 2 * @targets if !$built;

    check($_) for @targets;
}


sub build {
    my ($inc, $lib) = libjwt();

    make_path($out);

    open my $lock, '>', "$out/lock" or die "$out/lock: $!";
    flock $lock, LOCK_EX;

    my $status = system('make', '-s', '-f', "$here/Makefile", "NGINX=$nginx",
        "OUT=$out", "JWT_INC=$inc", "JWT_LIB=$lib", 'CC=gcc',
        'SANITIZE=-fsanitize=address,undefined -fno-sanitize-recover');

    return $status == 0;
}


sub libjwt {
    if (system('pkg-config --atleast-version=3 libjwt 2> /dev/null') == 0) {
        return map { chomp; $_ } `pkg-config --variable=includedir libjwt`,
            `pkg-config --libs libjwt`;
    }

    return ("$root/build/libjwt/include", "$root/build/libjwt/lib/libjwt.a");
}


sub check {
    my ($target) = @_;

    my @seeds = sort glob "$here/corpus/$target/*";
    my $output = "$out/$target.out";

    my $pid = fork() // die "fork: $!";

    if (!$pid) {
        open STDOUT, '>', $output or die "$output: $!";
        open STDERR, '>&', \*STDOUT or die "$output: $!";
        exec "$out/$target", @seeds or die "$out/$target: $!";
    }

    waitpid $pid, 0;

    my $status = $?;

    open my $file, '<', $output or die "$output: $!";
    my @lines = <$file>;
    close $file;

    chomp @lines;

    is $status, 0, "$target runs over its seeds" or diag join "\n", @lines;

    # "folder/expired.leeway: expired"

    my @wrong = grep { !m{/([^/.]+)\.[^/]*: \1$} } @lines;

    is_deeply [ @wrong, scalar @lines ], [ scalar @seeds ],
        "$target: what becomes of each seed";
}
