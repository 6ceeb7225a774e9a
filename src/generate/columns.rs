//! The columns of each feed, in the order in which its table has them.
//!
//! source   the exchange tables that `connectors/*.toml` describe; `paid_amount` is the province's own addition

macro_rules! columns {
    ($($feed:ident: $($column:ident)*;)*) => {
        $(pub(super) const $feed: &[&str] = &[$(stringify!($column)),*];)*
    };
}

columns! {
    HOTLINE_ORDER:
        ROWGUID SERIALNUM RQSTPERSON RQSTTIME RQSTNUMBER LINKNUMBER RQSTAREACODE AREACODE RQSTADDRESS RQSTTYPE
        ACCORDTYPE RQSTTITLE RQSTCONTENT RQSTSOURCE REGISTERNAME CSTATUS ISIMPT ISSECRET REPLAYTYPE FINISHTIME
        WEBRQSTTIME UPDATETIME TARGETUSCC TARGETNAME TARGETADDRESS INDUSTRYCODE DEPTNAME DEPTCODE PROBLEMTYPE
        TOPIC DISPUTETIME ISREALNAME GROUPSIZE DISPUTEGROUP ACCEPTTIME DUETIME RESULT SATISFACTION REWORKCOUNT
        AMOUNT;
    SUPERVISION_INSPECTION:
        cd_id cd_time cd_source cd_batch cd_operation env_flag record_unique_identity plan_id
        supervise_item_implement_code supervise_item_check_icode check_action_name check_action_code
        implement_institution implement_institution_code entrust_dept entrust_dept_code supervise_object
        administrative_cp administrative_cp_na administrative_cp_ce_type administrative_cp_ui_code
        address_registered address_operating area_number check_form check_type check_mode check_result
        check_date check_personnel check_personnel_code submitted_date submitted_personnel check_result_codes
        industry_code check_trigger failed_items critical_items rectify_due_date is_rectified licence_no;
    CREDIT_LICENCE:
        cd_id cd_time cd_source cd_batch cd_operation XK_XDR_MC XK_XDR_LB XK_XDR_SHXYM XK_XDR_GSZC XK_XDR_ZZJG
        XK_XDR_SWDJ XK_XDR_SYDW XK_XDR_SHZZ XK_FRDB XK_FR_ZJLX XK_FR_ZJHM XK_XDR_ZJLX XK_XDR_ZJHM XK_XKWS
        XK_WSH XK_XKLB XK_XKZS XK_XKBH XK_NR XK_JDRQ XK_YXQZ XK_YXQZI XK_XKJG XK_XKJGDM XK_ZT DFBM XK_XKXW
        XK_GZCN;
    CREDIT_PENALTY:
        cd_id cd_time cd_source cd_batch cd_operation CF_XDR_MC CF_XDR_LB CF_XDR_SHXYM CF_XDR_GSZC CF_XDR_ZZJG
        CF_XDR_SWDJ CF_XDR_SYDW CF_XDR_SHZZ CF_FRDB CF_FR_ZJLX CF_FR_ZJHM CF_XDR_ZJLX CF_XDR_ZJHM CF_WSH
        CF_WFXW CF_SY CF_YJ CF_CFLB CF_NR CF_NR_FK CF_NR_WFFF CF_NR_ZKDX CF_JDRQ CF_YXQ CF_GSJZQ CF_CFJG
        CF_CFJGDM CF_SJLY CF_SJLYDM CF_ZT DFBM BZ cancel_reason paid_amount;
    ABNORMAL_LIST:
        busexclist inclu_dt inclu_reason uni_social_crd_cd reg_no redecorg_cn pripid remexcpres_cn remove_dt
        decorg_cn comp_nm dsc_adm_region;
    SERIOUS_LIST:
        ill_comp_id abn_tm serill_rea rem_dt recorg_ogr uni_social_crd_cd rem_excpres_rea comp_name reg_no
        decorg_org pripid dsc_city dsc_adm_region;
    MARKET_REGISTER:
        main_identi_id reg_org comp_type reg_state uni_social_crd_cd comp_nm addr legal_repre indv_id reg_capt
        capt_kind opt_scop reg_no appr_dt est_dt opt_from opt_to domdi_strict pro_loc opt_strict postal_code
        sfgzq sfgzqzx compform opt_loc otherinfo puburl qrcode lv_pripid indv_code alt_item cd_time;
    SUPERVISION_COERCION:
        dsc_biz_record_id dsc_biz_operation dsc_biz_timestamp force_action_name force_action_code
        check_action_code supervise_item_implement_code supervise_object administrative_cp
        administrative_cp_na administrative_cp_ce_type administrative_cp_ui_code area_number
        implement_institution implement_institution_code industry_code illegal_fact force_file_num force_class
        force_type force_result force_start_date force_extend_days force_end_date submitted_date;
    FEEDBACK:
        line;
}
