%% Rows A to F and H in Erlang: bench:main(Remote) prints {Row, Value, Unit} lines.
-module(bench).
-export([main/1, serve/0, echo/0, swallow/0, sink/2, ponger/0, idle/0]).

-define(TEXT, <<"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx">>).

serve() -> receive stop -> ok end.

main(Remote) ->
    row("A", best(fun() -> a(500000) end), "msgs/s"),
    row("B", best(fun() -> b(200000) end), "calls/s"),
    row("F", best(fun() -> f(100000) end), "actors/s"),
    row("H", best(fun() -> h(node(), 100, 1000000) end), "signals/s"),
    meet(Remote, 200),
    row("C", best(fun() -> c(Remote, 300000) end), "signals/s"),
    row("D", d(Remote, 5000), "\\u00b5s p50"),
    row("E 1 MB", best(fun() -> e(Remote, 1000000, 200) end), "MB/s"),
    row("E 64 MB", best(fun() -> e(Remote, 64000000, 8) end), "MB/s"),
    row("H remote", best(fun() -> h(Remote, 10, 300000) end), "signals/s").

%% The other node is still starting, perhaps.
meet(Remote, Left) ->
    case net_kernel:connect_node(Remote) of
        true -> ok;
        _ when Left > 0 -> timer:sleep(50), meet(Remote, Left - 1)
    end.

row(Name, Value, Unit) ->
    io:format("{\"peer\": \"erlang\", \"row\": \"~s\", \"value\": ~b, \"unit\": \"~s\"}~n",
              [Name, round(Value), Unit]).

best(Work) -> lists:max([Work() || _ <- [1, 2, 3]]).

rate(Count, Work) ->
    Began = erlang:monotonic_time(),
    Work(),
    Took = erlang:convert_time_unit(erlang:monotonic_time() - Began, native, nanosecond),
    Count / (Took / 1.0e9).

%% A: a hundred messages under way between two processes.
a(Count) ->
    Pong = spawn(?MODULE, ponger, []),
    Rate = rate(2 * Count, fun() ->
        [Pong ! {self(), N} || N <- lists:seq(1, 100)],
        pings(Pong, Count)
    end),
    exit(Pong, kill),
    Rate.

pings(_, 0) -> ok;
pings(Pong, Left) -> receive {pong, N} -> Pong ! {self(), N}, pings(Pong, Left - 1) end.

ponger() -> receive {From, N} -> From ! {pong, N}, ponger() end.

%% B and D: asks, one after the other.
echo() -> receive {From, Ref, Value} -> From ! {Ref, Value}, echo() end.

ask(To, Value) ->
    Ref = make_ref(),
    To ! {self(), Ref, Value},
    receive {Ref, Answer} -> Answer end.

b(Count) ->
    Echo = spawn(?MODULE, echo, []),
    Rate = rate(Count, fun() -> [ask(Echo, N) || N <- lists:seq(1, Count)] end),
    exit(Echo, kill),
    Rate.

d(Remote, Count) ->
    Echo = spawn(Remote, ?MODULE, echo, []),
    [ask(Echo, N) || N <- lists:seq(1, 500)],
    Taken = [begin
        Began = erlang:monotonic_time(),
        ask(Echo, N),
        erlang:convert_time_unit(erlang:monotonic_time() - Began, native, nanosecond) / 1000
    end || N <- lists:seq(1, Count)],
    exit(Echo, kill),
    lists:nth(Count div 2, lists:sort(Taken)).

%% C and H: one way, to one or many.
sink(To, 0) -> To ! done;
sink(To, Left) -> receive {_, _} -> sink(To, Left - 1) end.

c(Remote, Count) -> h(Remote, 1, Count).

h(Node, Sinks, Count) ->
    Each = Count div Sinks,
    Self = self(),
    All = [spawn(Node, ?MODULE, sink, [Self, Each]) || _ <- lists:seq(1, Sinks)],
    rate(Each * Sinks, fun() ->
        [[Sink ! {N, ?TEXT} || Sink <- All] || N <- lists:seq(1, Each)],
        [receive done -> ok end || _ <- All]
    end).

%% E: bulk, each answered before the next is sent.
swallow() -> receive {From, Ref, Data} -> From ! {Ref, byte_size(Data)}, swallow() end.

e(Remote, Size, Count) ->
    To = spawn(Remote, ?MODULE, swallow, []),
    Data = binary:copy(<<0>>, Size),
    Rate = rate(Count, fun() -> [Size = ask(To, Data) || _ <- lists:seq(1, Count)] end),
    exit(To, kill),
    Rate * Size / 1.0e6.

idle() -> receive stop -> ok end.

f(Count) ->
    Began = erlang:monotonic_time(),
    All = [spawn(?MODULE, idle, []) || _ <- lists:seq(1, Count)],
    Took = erlang:convert_time_unit(erlang:monotonic_time() - Began, native, nanosecond),
    [P ! stop || P <- All],
    Count / (Took / 1.0e9).
