//! The list of all behaviours, and the macro that makes tests of them.

/// Makes one `#[tokio::test]` of every behaviour of [`contract`](crate::contract), in one module per area.
///
/// Takes the path of an `async fn() -> Option<Box<dyn Harness>>` that opens a fresh store; `None` means that this
/// kind of store is not available here, which the function has to say, and passes.
#[macro_export]
macro_rules! contract_suite {
    ($open:path) => {
        $crate::contract_suite! {
            $open;
            units: [
                a_dropped_unit_leaves_nothing,
                what_a_unit_wrote_is_seen_by_itself_and_by_others_after_the_commit,
                an_empty_unit_commits,
                a_unit_that_failed_leaves_nothing_and_the_next_one_works,
                units_follow_one_another_in_any_number,
            ],
            patients: [
                a_patient_keeps_every_field,
                an_empty_patient_stays_empty,
                an_unknown_patient_is_nobody,
                several_patients_are_found_at_once,
                a_patient_is_found_by_its_account,
                the_oldest_patient_without_an_account_is_found_by_phone,
                an_update_writes_every_field_and_bumps_the_version,
                a_stale_update_is_a_conflict_and_changes_nothing,
                a_patient_id_is_taken_once,
                an_account_belongs_to_one_patient,
            ],
            doctors: [
                a_doctor_keeps_every_field,
                an_empty_doctor_stays_empty,
                several_doctors_are_found_at_once,
                a_doctor_is_found_by_its_account,
                the_oldest_doctor_without_an_account_is_found_by_phone,
                an_update_writes_every_field_and_bumps_the_version,
                a_stale_update_is_a_conflict_and_changes_nothing,
                ids_and_accounts_of_doctors_are_taken_once,
                the_search_shows_certified_doctors_only,
                the_search_looks_into_name_hospital_department_and_title,
                the_search_takes_wildcards_literally,
                the_search_ignores_the_case_of_ascii_letters,
                doctors_are_listed_by_certification,
                whoever_has_left_is_found_by_administrators_only,
            ],
            files: [
                a_file_keeps_every_field_whoever_owns_it_and_wherever_it_is,
                several_files_are_found_at_once,
                a_file_id_is_taken_once,
                a_file_is_deleted_unless_a_profile_shows_it,
            ],
            relations: [
                a_relation_keeps_every_field,
                an_unknown_relation_is_nothing,
                blocked_relations_are_found_at_once,
                ensuring_answers_in_the_order_of_the_candidates,
                ensuring_keeps_what_is_there_and_adds_the_rest,
                candidates_of_one_pair_become_one_relation,
                many_relations_are_ensured_at_once,
                a_relation_id_is_taken_once,
                an_update_writes_every_field_and_bumps_the_version,
                a_stale_update_is_a_conflict_and_changes_nothing,
                relations_are_pointed_at_their_newest_consultations,
                all_relations_of_a_patient_are_pointed_at_the_newest_report,
                cards_are_taken_once,
            ],
            relation_lists: [
                a_list_is_of_one_doctor_or_patient_newest_first,
                a_group_matches_as_a_whole,
                a_tag_matches_as_a_whole,
                text_is_looked_for_in_name_and_remark_and_is_a_whole_number,
                wildcards_and_quotes_in_text_are_literal,
                the_case_of_ascii_letters_does_not_matter,
                filters_restrict_together,
                relations_with_somebody_who_has_left_are_in_no_list,
            ],
            invitations: [
                an_invitation_keeps_every_field,
                an_invitation_is_found_by_its_exact_scene,
                a_scene_and_an_id_are_taken_once,
                a_doctors_invitations_are_listed_newest_first,
                revoking_again_keeps_the_first_time,
                scans_are_counted,
            ],
            consultations: [
                a_consultation_keeps_every_field,
                several_consultations_are_found_at_once,
                every_end_reason_is_kept,
                a_pair_has_one_open_consultation,
                a_running_consultation_is_open_too,
                ended_and_void_consultations_do_not_stand_in_the_way,
                the_open_rule_holds_however_often_a_statement_ran,
                a_consultation_id_is_taken_once,
                an_update_writes_every_field_and_bumps_the_version,
                a_stale_update_is_a_conflict_and_changes_nothing,
                reopening_beside_an_open_one_breaks_the_rule,
                open_consultations_are_found_by_pair_doctor_and_patient,
                lists_restrict_by_doctor_patient_and_status,
                a_probe_tells_who_exists_who_is_blocked_and_what_is_open,
                a_pair_may_be_probed_twice_and_many_at_once,
                a_probe_within_a_unit_sees_what_the_unit_wrote,
                open_consultations_of_a_patient_are_pointed_at_the_newest_report,
                events_keep_every_field_and_come_oldest_first,
                an_event_id_is_taken_once,
            ],
            deadlines: [
                a_deadline_is_over_when_it_lies_before_the_instant,
                only_open_valid_consultations_with_a_deadline_are_overdue,
                a_deadline_of_another_status_does_not_count,
                warnings_are_due_once_and_at_the_boundary,
                the_hard_limit_counts_from_the_start,
                the_oldest_deadlines_come_first_up_to_the_limit,
            ],
            conversations: [
                a_conversation_keeps_every_field,
                members_keep_every_field_and_belong_to_their_conversation,
                members_of_several_conversations_are_found_at_once,
                conversations_and_memberships_are_unique,
                who_joins_late_has_read_what_is_there,
                adding_a_member_again_changes_nothing,
                a_removed_member_is_gone,
                the_list_shows_own_conversations_with_members_and_the_last_message,
                the_list_begins_with_the_newest_message_and_is_paged,
                the_owner_is_asked_when_it_was_said,
            ],
            sending: [
                a_message_keeps_every_field,
                sequence_numbers_are_contiguous_from_one,
                messages_to_several_conversations_are_appended_at_once,
                what_cannot_be_stored_does_not_keep_the_rest_from_it,
                a_name_is_known_again_with_what_was_said,
                messages_without_a_name_are_never_the_same,
                a_known_name_is_answered_though_its_sender_left_or_is_to_be_asked_about,
                agreed_messages_are_stored_without_asking_but_not_for_strangers,
                a_dropped_unit_leaves_no_gap,
                a_unit_sees_what_it_appended,
            ],
            messages: [
                history_is_read_in_both_directions,
                a_message_is_found_by_id_and_by_number_within_its_conversation,
                a_recalled_message_keeps_its_place_and_its_content,
            ],
            reads: [
                what_others_wrote_is_unread_and_own_messages_are_not,
                reading_moves_on_and_never_back,
                several_members_read_at_once_and_strangers_do_not,
                reading_goes_no_farther_than_the_newest_message,
                writing_does_not_read,
                a_recall_takes_the_message_out_of_the_numbers,
                late_joiners_count_from_where_they_came_in,
                deliveries_move_on_and_do_not_read,
            ],
            log: [
                messages_and_events_share_one_order,
                an_event_keeps_every_field,
                entries_are_read_between_two_positions_up_to_a_limit,
                a_client_sees_what_concerns_it_and_nothing_else,
                a_client_catches_up_page_by_page_without_a_hole,
                a_long_absence_loses_nothing,
                an_undone_unit_leaves_nothing_in_the_log,
                the_epoch_changes_when_it_is_renewed,
            ],
            searches: [
                words_of_two_chinese_characters_are_found,
                wildcards_quotes_and_backslashes_are_literal,
                the_case_of_ascii_letters_does_not_matter,
                only_own_conversations_are_searched,
                only_texts_that_were_not_recalled_are_found,
                what_was_found_is_paged_newest_first,
            ],
            presence: [
                sockets_count_while_the_lease_runs,
                a_node_that_died_is_forgotten_when_another_renews,
                what_a_node_had_in_front_is_decided_about_anew_when_it_is_gone,
                what_is_in_front_is_known_by_conversation,
                one_socket_may_be_two_clients,
                removed_sockets_and_nodes_are_gone,
            ],
            desk: [
                the_assistant_is_kept_and_versioned,
                a_chat_keeps_every_field,
                a_customer_has_one_chat,
                a_claim_needs_a_free_chat_and_room,
                letting_go_makes_room,
                the_queue_is_in_the_order_of_its_times,
                chats_are_listed_by_view_and_words,
                chats_are_counted,
                what_time_asks_for_is_found,
                agents_keep_what_is_set,
                episodes_keep_every_field,
                entries_are_paged_newest_first,
                canned_replies_are_seen_by_scope,
                drafts_are_kept_by_agent_and_chat,
                conversations_are_summed_up_by_id,
                claims_at_once_never_overfill,
            ],
            desk_schedules: [
                whatever_happens_at_once_the_rules_hold,
                equal_agents_are_loaded_equally,
                a_customer_who_writes_at_once_has_one_conversation,
            ],
            notifications: [
                a_notification_keeps_every_field,
                decisions_are_listed_newest_first,
                every_cause_state_and_reason_is_kept,
                settling_writes_all_that_may_change,
                only_what_is_in_a_given_state_is_settled,
                a_notification_id_is_taken_once,
                cancelling_spares_closing_notices_and_what_is_settled,
                what_its_viewer_left_unseen_is_found,
                answers_of_the_desk_that_were_not_read_are_found,
                who_was_told_and_neither_read_nor_answered_is_found_until_reminded,
                the_last_notification_is_found_within_the_cool_down,
                another_notification_of_the_same_run_is_known_within_the_cool_down,
                only_what_reached_this_recipient_counts_as_notified,
                notifications_of_a_consultation_come_oldest_first,
            ],
            desk_tasks: [
                a_task_keeps_every_field_and_moves_between_the_lists,
                whom_an_escalation_did_not_move_is_found_until_there_is_a_task,
                tasks_settle_when_the_doctor_answers_or_the_consultation_ends,
            ],
            traces: [
                traces_keep_every_row_of_every_table,
                traces_of_one_table_leave_the_others_alone,
                a_trace_that_is_there_breaks_its_rule,
                many_traces_are_written_at_once,
            ],
            audit: [
                an_act_keeps_every_field,
                filters_restrict_together_and_newest_comes_first,
                appending_nothing_is_fine_and_an_id_is_taken_once,
            ],
            jobs: [
                a_new_job_is_queued_with_every_field,
                a_second_job_under_a_key_is_dropped,
                a_key_stays_taken_after_its_job_is_done,
                a_job_id_is_taken_once,
                a_done_job_is_kept_and_not_claimed_again,
                a_retry_waits_and_keeps_its_error,
                postponing_does_not_count_as_an_attempt,
                a_dead_job_waits_for_an_operator,
                long_errors_are_cut,
                several_outcomes_are_settled_at_once,
                a_dead_job_can_be_tried_again,
                a_dead_job_can_be_set_aside,
                purging_deletes_what_was_settled_before_the_instant,
                the_next_due_time_counts_leases,
                the_depth_counts_due_and_dead_jobs,
                jobs_are_listed_by_state_newest_first,
            ],
            claims: [
                a_claim_hands_over_the_job_and_counts_the_attempt,
                the_oldest_due_jobs_come_first_up_to_the_limit,
                a_job_is_due_from_its_very_instant,
                a_leased_job_is_nobody_elses_until_the_lease_ends,
                a_lost_lease_settles_nothing,
                settling_twice_counts_once,
                a_schedule_is_taken_once_a_period,
                schedules_of_other_names_are_their_own,
                a_schedule_that_runs_longer_than_its_period_is_not_taken_beside_itself,
            ],
            paging: [
                lists_of_doctors_are_paged,
                lists_of_relations_are_paged,
                lists_of_consultations_are_paged,
                the_audit_log_is_paged,
                lists_of_jobs_are_paged,
                a_cursor_stays_put_while_newer_rows_arrive,
            ],
            races: [
                the_second_unit_sees_what_the_first_committed,
                a_pair_ensured_at_once_has_one_relation,
                pairs_ensured_in_opposite_orders_do_not_lock_each_other_out,
                a_pair_started_at_once_has_one_open_consultation,
                of_updates_that_read_the_same_version_one_wins,
                a_locked_relation_waits_so_no_change_is_lost,
                an_ensured_relation_is_locked_for_its_unit,
                a_shared_doctor_cannot_change_until_the_unit_ends,
                sharing_a_doctor_does_not_keep_others_from_sharing,
                two_workers_cannot_settle_one_notification,
                messages_appended_at_once_are_numbered_without_gaps,
                a_message_sent_at_once_many_times_is_stored_once,
                conversations_appended_to_in_opposite_orders_do_not_lock_each_other_out,
                positions_grow_in_the_order_of_commits,
                reads_recalls_and_sends_at_once_keep_the_unread_exact,
                cards_asked_for_at_once_are_shown_once,
                scans_at_once_are_all_counted,
                jobs_under_one_key_at_once_become_one,
                workers_claiming_at_once_share_the_jobs_out,
                a_schedule_due_for_all_is_taken_by_one,
            ],
        }
    };
    ($open:path; $($area:ident: [$($behaviour:ident),+ $(,)?]),+ $(,)?) => {$(
        mod $area {
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    if let Some(harness) = $open().await {
                        $crate::contract::run(harness, $crate::contract::$area::$behaviour).await;
                    }
                }
            )+
        }
    )+};
}

#[cfg(test)]
mod tests {
    /// A behaviour that is written but not listed would silently not run.
    #[test]
    fn every_behaviour_is_listed() {
        let list = include_str!("suite.rs");
        let sources = [
            include_str!("units.rs"),
            include_str!("patients.rs"),
            include_str!("doctors.rs"),
            include_str!("files.rs"),
            include_str!("relations.rs"),
            include_str!("relation_lists.rs"),
            include_str!("invitations.rs"),
            include_str!("consultations.rs"),
            include_str!("deadlines.rs"),
            include_str!("conversations.rs"),
            include_str!("sending.rs"),
            include_str!("messages.rs"),
            include_str!("reads.rs"),
            include_str!("log.rs"),
            include_str!("searches.rs"),
            include_str!("presence.rs"),
            include_str!("desk.rs"),
            include_str!("desk_schedules.rs"),
            include_str!("notifications.rs"),
            include_str!("traces.rs"),
            include_str!("audit.rs"),
            include_str!("jobs.rs"),
            include_str!("claims.rs"),
            include_str!("paging.rs"),
            include_str!("races.rs"),
        ];
        for source in sources {
            let is_behaviour = |line: &&str| line.starts_with("pub async fn ") && line.ends_with("(h: &dyn Harness) {");
            for line in source.lines().filter(is_behaviour) {
                let name = line.trim_start_matches("pub async fn ").split('(').next().unwrap_or_default();
                assert!(list.contains(&format!(" {name},")), "{name} is not listed");
            }
        }
    }
}
