//! One test for each scenario of the model.

macro_rules! scenarios {
    ($($area:ident { $($name:ident)+ })+) => { $(
        mod $area {
            $(#[test] fn $name() { sori_model::check::$area::$name(); })+
        }
    )+ };
}

scenarios! {
    durable {
        what_two_shards_hand_in_is_kept_and_each_is_told
        what_waits_for_what_another_shard_handed_in_is_told_after_it
        what_nobody_waits_for_is_kept_when_the_broker_stops
        a_failed_store_is_told_to_who_waits
    }
    generation {
        who_publishes_after_suback_reaches_the_subscriber
        who_publishes_after_unsuback_does_not_reach_the_subscriber
    }
    inbox {
        a_worker_that_waits_is_woken_for_every_letter
        who_posts_after_another_comes_after_it_wherever_the_news_of_that_came_from
    }
    order {
        messages_of_a_session_that_ended_come_before_those_of_the_next
        the_same_when_the_client_comes_back_by_two_shards
    }
    pipe {
        a_client_that_writes_and_reads_gets_everything_back
        a_worker_that_finds_no_room_goes_on_when_there_is_room
        a_client_that_finds_no_room_goes_on_when_there_is_room
        the_broker_s_end_is_heard_of_wherever_it_goes
    }
    registry {
        two_shards_that_claim_one_client_id_end_up_with_one_session
        a_client_id_that_is_released_while_two_shards_want_it_goes_to_one
    }
    retained {
        the_first_value_comes_once
        the_first_value_comes_once_when_the_publisher_remembers_that_nobody_subscribes
        of_several_values_none_is_missed_or_out_of_order
        a_removed_value_is_not_seen_after_its_removal
        subscribing_again_misses_no_live_value
        of_two_publishers_the_value_that_stays_has_been_received
    }
}
