package NgxGatewayBlocks;

# A frame for suites on top of Test::Nginx::Socket whose blocks have lists of
# requests, each with all that its answer must be, and the words of a module
# in place of a configuration.  What the words are is a class made of this one,
# which suites use before Test::Nginx::Socket:
#
#     @EXPORT     also for "eval" sections
#     rows        the section that has the list; "requests"
#     lists       other sections whose values are lists
#     complete(BLOCK)  makes Test::Nginx's sections of its own, as http_config
#                 and config
#     check(BLOCK, ROW, N)  what a row of the list means, the first being 0:
#                 { request, send (headers), code, fields (of the answer, undef
#                 for none), name, body }, where the body is a text, a pattern,
#                 a sub that is given it and says whether it is right, or undef
#                 for any; pause, the seconds before the next request; and more
#                 for the next two
#     checks(BLOCK, CHECKS)  all of a block, when they are there
#     made(BLOCKS)  all blocks, likewise
#     checked(BLOCK, CHECK, NAME, N)  further tests of an answer
#     answers     how "fields" are looked for: the section, and a sub that
#                 makes a line of NAME and VALUE
#     bad         what no block's error log may have, unless it says so
#     run         makes the blocks, then runs all; classes export a function
#                 that calls it
#
# A section of all of them:
#
#   --- emerg eval
#                  a list of patterns that one line of the error log, an
#                  [emerg], must match: nginx does not start
#
# Exported for them, as functions:
#
#     section(BLOCK, NAME)    the value, or undef
#     set(BLOCK, NAME => VALUE, ...)
#     preset(BLOCK, NAME => VALUE, ...)  the same, unless there is one

use strict;
use warnings;

BEGIN {
    # Test::Nginx sleeps three of these before each look at the error log

    if (!$ENV{TEST_NGINX_USE_VALGRIND}) {
        $ENV{TEST_NGINX_SLEEP} //= 0.002;
    }

    # Its ports are 1988 and each fourth above, at random.  Where that is one
    # of those that the system gives to connections, it may do so while nginx
    # is not running: then no server can have it for a minute.

    no warnings 'once';

    *Test::Nginx::Util::rand = sub (;$) {
        my $most = (32_768 - 1_988) / 4;

        return rand($_[0] && $_[0] > $most ? $most : $_[0]);
    };
}

use Time::HiRes ();

use base 'Exporter';

our @EXPORT_OK = qw( section set preset );


# Test::Base runs "eval" sections in a package of its own.

sub import {
    my ($class, @names) = @_;

    $class->export_to_level(1, $class, @names);

    require Test::Base::Filter;

    no strict 'refs';
    no warnings 'redefine';

    for my $name (@{"${class}::EXPORT"}) {
        *{"Test::Base::Filter::$name"} = \&{"${class}::$name"};
    }

    return;
}


sub run {
    my ($class) = @_;

    Test::Nginx::Util::no_long_string();
    Test::Nginx::Util::log_level('info');
    Test::Nginx::Util::repeat_each(2);

    my @blocks = Test::Base::blocks();

    $class->_make($_) for @blocks;
    $class->made(@blocks);

    Test::Nginx::Socket::add_response_body_check(sub { $class->_check(@_) });
    Test::Nginx::Util::run_tests();

    return;
}


sub _make {
    my ($class, $block) = @_;

    # Test::Base makes an error in an "eval" section the section's value.  A
    # text in place of a list is one of Test::Nginx's own.

    for my $list ($class->rows(), $class->lists(), 'emerg') {
        my $value = section($block, $list);

        if (defined $value && !ref $value && $value !~ /^>>> /) {
            die $block->name . ": $list: $value\n";
        }
    }

    $class->complete($block);

    my $emerg = section($block, 'emerg');

    if (defined $emerg) {
        my $all = join '', map { "(?=.*$_)" } @$emerg;

        set($block, must_die => '', suppress_stderr => '',
            error_log => [ '[emerg]', qr/\[emerg\]$all/s ]);
        preset($block, no_error_log => [ '[alert]', '[crit]' ]);
    }

    if (defined section($block, $class->rows())) {
        $class->requests($block);
    }

    preset($block, no_error_log => [ $class->bad() ]);

    return;
}


# Makes Test::Nginx's requests of the rows.

sub requests {
    my ($class, $block) = @_;

    my ($answers, $line) = $class->answers();
    my @rows = @{ section($block, $class->rows()) };
    my @checks = map { $class->check($block, $rows[$_], $_) } 0 .. $#rows;

    my @want = map {
        my $fields = $_->{fields};

        join "\n", map { $line->($_, $fields->{$_}) } sort keys %$fields;
    } @checks;

    $class->checks($block, \@checks);

    set($block, checks => \@checks,
        request      => [ map { $_->{request} } @checks ],
        more_headers => [ map { $_->{send} } @checks ],
        error_code   => [ map { $_->{code} } @checks ],
        $answers     => \@want);

    return;
}


sub _check {
    my ($class, $block, $body, $n, $repeat, $dry_run) = @_;

    my $check = (section($block, 'checks') // return)->[$n];
    my $name = $block->name . ": $check->{name} (repeat $repeat)";
    my $want = $check->{body};

    SKIP: {
        Test::More::skip($name, 1) if $dry_run;

        if (ref $want eq 'CODE') {
            Test::More::ok($want->($body), $name)
                or Test::More::diag("body: $body");

        } elsif (ref $want) {
            Test::More::like($body, $want, $name);

        } elsif (defined $want) {
            Test::More::is($body, $want, $name);
        }

        $class->checked($block, $check, $name, $n);

        Time::HiRes::sleep($check->{pause} // 0);
    }

    return;
}


sub rows {
    return 'requests';
}


sub lists {
    return;
}


sub checks {
    return;
}


sub made {
    return;
}


sub checked {
    return;
}


sub answers {
    return ('response_headers', sub {
        my ($name, $value) = @_;

        return defined $value ? "$name: $value" : "! $name";
    });
}


sub bad {
    return ('[crit]', '[alert]', '[emerg]');
}


sub section {
    my ($block, $name) = @_;

    return exists $block->{$name} ? scalar $block->$name : undef;
}


sub set {
    my ($block, %values) = @_;

    $block->set_value($_, $values{$_}) for keys %values;

    return;
}


sub preset {
    my ($block, %values) = @_;

    for my $name (keys %values) {
        set($block, $name => $values{$name})
            if !defined section($block, $name);
    }

    return;
}


1;
