with

seller_months as (

    select * from {{ ref('sales_team_data_mart') }}

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
        -- operands of 20 digits leave the quotient 18 places, so it is rounded once
        cast(
            cast(total_sales as decimal(20, 2))
            / nullif(
                cast(
                    sum(total_sales) over (partition by store_id, sales_month)
                    as decimal(20, 2)
                ),
                0
            ) as decimal(9, 4)
        ) as share_of_store,
        sales_count

    from seller_months

)

select * from rpt_sales_by_seller_and_month
