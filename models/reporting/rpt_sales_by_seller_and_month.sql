with

seller_months as (

    select * from {{ ref('sales_team_data_mart') }}

),

with_store_total as (

    select
        *,
        cast(
            sum(total_sales) over (partition by store_id, sales_month)
            as decimal(28, 2)
        ) as total_of_store

    from seller_months

),

rpt_sales_by_seller_and_month as (

    select
        store_id,
        sales_person_id,
        sales_month,
        full_name,
        total_sales,
        incentive,
        rank_in_store,
        rank() over (
            partition by sales_month
            order by total_sales desc
        ) as rank_overall,
        cast({{ rounded_share('total_sales', 'total_of_store') }} as decimal(9, 4))
            as share_of_store,
        sales_count

    from with_store_total

)

select * from rpt_sales_by_seller_and_month
