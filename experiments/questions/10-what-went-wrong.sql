-- Which runs did not go straight through? How often each was resumed, met a fault, refused a schedule, rolled one back, or
-- was given another.
select
    study,
    run,
    count(*) filter (where kind = 'resumed') as resumed,
    count(*) filter (where kind = 'fault') as faults,
    count(*) filter (where kind = 'rejected') as rejected,
    count(*) filter (where kind = 'reverted') as reverted,
    count(*) filter (where kind = 'swapped') as swapped
from events
where kind in ('resumed', 'fault', 'rejected', 'reverted', 'swapped')
group by study, run
order by study, run
