-- incremental, unlike the other reports: it reads sale by sale, so it reads the touched
-- months only
{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    on_schema_change='fail',
    partition_by=['sales_month'],
    pre_hook='{{ drop_touched_months("sales_month") }}'
) }}

with

sales as (

    select * from {{ ref('sales_team_sales') }}

    {%- if is_incremental() %}

    where {{ is_in_touched_month('sales_month') }}
    {%- endif %}

),

product_months as (

    select
        store_id,
        product_key,
        product_name,
        sales_month,
        sum(total_cost) as total_sales,
        sum(quantity) as quantity,
        count(*) as sales_count

    from sales

    group by
        store_id,
        product_key,
        product_name,
        sales_month

),

rpt_sales_by_product_and_month as (

    select
        store_id,
        product_name,
        sales_month,
        product_key,
        total_sales,
        quantity,
        sales_count,
        rank() over (
            partition by store_id, sales_month
            order by total_sales desc
        ) as rank_in_store,
        row_number() over (
            partition by store_id, sales_month
            order by total_sales desc, product_name asc
        ) as position_in_store

    from product_months

    -- one task writes one month, in the order of its key in the database
    distribute by sales_month
    sort by sales_month, store_id, position_in_store

)

select * from rpt_sales_by_product_and_month
